"""What the service answers over HTTP: is it alive, is it ready, how is it doing."""
