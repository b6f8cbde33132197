"""
The CloudAudit API of Tencent Cloud (service `cloudaudit`, version 2019-03-19): a client and what it stands on.

    client        CloudAudit: one typed method per action, pages of events
    ├── parameters    what each action takes and its documented limits; pure, checked before anything is sent
    ├── answers       what each action answers, as types
    ├── coverage      do the tracking sets cover the account's write events? pure
    ├── transport     one signed HTTP call: deadline, size cap, clock; the one module that imports httpx
    │   ├── wire          the connection whose every read and write ends at the call's deadline
    │   ├── signing       TC3-HMAC-SHA256 and the older V1; pure
    │   └── endpoint      which host is asked
    ├── credentials   environment, file, chain
    ├── roles         CVM role, STS AssumeRole: temporary credentials, renewed before they end
    └── errors, codes every documented error code as a class that knows whether asking again can help

docs/cloudaudit.md says how it is used.
"""
