"""
Secrets in events become keyed tokens before anything else sees them.

Theory of operation. A secret is recognised in two ways. By the *name* it stands under (`Password`, `sessionToken`,
`x-tc-token`, …), compared without case, dashes and underscores: whatever text or number stands there is replaced, at
any depth. And by its *shape* anywhere in a text: private keys, Tencent Cloud SecretIds, JWTs, Slack and GitHub tokens,
`token=…` in a URL, `"password": "…"` in a piece of JSON that nobody could parse.

A token is `[secret:` + 16 hex digits + `]`: BLAKE2b keyed with the store's redaction key, so equal secrets give equal
tokens and rules can still compare and join, while nobody without the key can test a guess. A SecretId is a name, not
the secret itself: it keeps its first eight characters before its token, which tell the kind of key. Redacting what is
redacted changes nothing. Flags are not secrets: true, false, null, "", 0 and 1 stay (CAM has `LoginFlag.Stoken: 0`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote

SECRET, HOLDER, ACCESS_KEY_ID = "secret", "holder", "access key id"
PLAIN = ""

# Names whose whole value is a secret. Written as `_sort` compares them: lower case, letters and digits only.
_SECRETS: Final = frozenset(
    {
        "secret", "credential", "token", "tokens", "accesstokens", "refreshtokens", "stoken", "jwt", "pass", "otp",
        "secretstring", "secretbinary", "secretvalue",
        "secretdata", "signature", "signingkey", "sharedkey", "presharedkey", "psk", "encryptionkey", "masterkey",
        "plaintext", "plaintextdata", "plaintextblob", "keymaterial", "privatekeyplaintext", "cookie", "cookies",
        "setcookie", "skey", "pskey", "sessionkey", "authorization", "proxyauthorization", "authorizationdata",
        "kubeconfig", "clusterkubeconfig", "userdata", "customdata", "verifycode", "verificationcode", "smscode",
        "smsverifycode", "mailcode", "emailcode", "captcha", "captchacode", "ticket", "randstr", "tokencode",
        "mfacode", "authcode", "authorizationcode", "otpcode", "totpcode", "dynamiccode", "activationcode",
        "samlassertion", "webidentitytoken", "vncurl", "instancevncurl", "presignedurl", "signedurl", "loginticket",
    }
)  # fmt: skip
_SECRET_ENDINGS: Final = (
    "password", "passwd", "passphrase", "pwd", "passwords", "passwordhash", "passworddata", "passwordtext",
    "secretkey", "secretaccesskey", "privatekey", "privatekeypem", "clientsecret", "appsecret", "apisecret",
    "token", "apikeysecret", "xamzsignature", "qsignature", "basicauth", "connectionstring",
)  # fmt: skip
_PASSWORD_NUMBERED: Final = re.compile(r"(?:password|passwd|pwd)\d{1,2}$")

# Tokens that open nothing: cursors, idempotency keys, optimistic locks, counts.
_NOT_SECRET_ENDINGS: Final = (
    "nexttoken", "clienttoken", "pagetoken", "continuationtoken", "requesttoken", "idempotencytoken",
    "idempotenttoken", "paginationtoken", "startingtoken", "scrolltoken", "previoustoken", "prevtoken",
    "forwardtoken", "backwardtoken", "sequencetoken", "updatetoken", "changetoken", "locktoken", "synctoken",
    "cursortoken", "maxtoken",
)  # fmt: skip

# Names that hold secrets but also plain things: a text is replaced, an object is read by its own names
# (`credentials: {accessKeyId, sessionToken, expiration}`).
_HOLDERS: Final = frozenset(
    {
        "secrets", "credentials", "auth", "accesskey", "accesskeys", "apikey", "apikeys",
        "authdata", "authparameters",
    }
)  # fmt: skip

TENCENT_ACCESS_KEY_IDS: Final = frozenset({"secretid", "tmpsecretid", "accesskeyid"})

# Where a name and its value are two members of one object: environment variables, parameters, tags.
_PAIR_NAMES: Final = ("Key", "key", "Name", "name", "ParameterKey", "parameterKey", "ParamName", "EnvName")
_PAIR_VALUES: Final = ("Value", "value", "ParameterValue", "parameterValue", "ParamValue", "EnvValue")

TOKEN: Final = re.compile(r"\[secret:[0-9a-f]{16}\]")
_ACCESS_KEY_TOKEN: Final = re.compile(r".{0,8}\[secret:[0-9a-f]{16}\]", re.DOTALL)
# What stands under a secret's name and is none: flags, and what CloudTrail writes where it has removed one itself.
_HARMLESS: Final = frozenset(
    {"", "0", "1", "true", "false", "null", "****", "HIDDEN_DUE_TO_SECURITY_REASONS", "<sensitiveDataRemoved>"}
)

SHORTEST: Final = 12  # no shape below is shorter
_ACCESS_KEY_SHAPE: Final = re.compile(r"(?:AKID|IKID)[0-9A-Za-z]{13}[0-9A-Za-z_-]*")  # 36 long; temporary ones longer
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL
)
_AWS_ACCESS_KEY_ID: Final = re.compile(r"A[KS]IA[0-9A-Z]{16}")
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
_VENDOR: Final = re.compile(
    r"xox[abeoprs]-[0-9A-Za-z-]{10,}|xapp-[0-9A-Za-z-]{10,}|whsec_[0-9A-Za-z+/=_-]{16,}"
    r"|gh[oprsu]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{20,}|glpat-[0-9A-Za-z_-]{16,}"
)
_WEBHOOK: Final = re.compile(
    r"(?P<keep>hooks\.slack\.com/(?:services|workflows|triggers)/|/open-apis/bot/v2/hook/|/webhook/send\?key=)"
    r"(?P<secret>[0-9A-Za-z_/-]{8,})"
)
_USERINFO: Final = re.compile(r"(?P<keep>://[^\s/?#@:\"']{0,128}:)(?P<secret>[^\s/?#@\"']{1,256})(?=@)")
_HEADER: Final = re.compile(
    r"(?P<keep>(?:authorization|cookie|x-[a-z]{2,10}-(?:security-)?token)\s{0,8}:\s{0,8}(?:(?:bearer|basic)\s+)?)"
    r"(?P<secret>[^\s\"'\\][^\r\n\"'\\]*)",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"(?P<keep>\b(?:bearer|basic)\s{1,4})(?P<secret>[0-9A-Za-z._~+/=-]{16,})", re.IGNORECASE)
_PAIR: Final = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{1,63})(?P<mid>=\\{0,3}[\"']?)(?P<value>[^\s&\"'<>;\\]+)"
)
_QUOTED_NAME: Final = re.compile(r"[\"'](?P<name>[^\"'\\]{1,128})(?P<escape>\\{0,64})[\"']\s{0,64}(?::|=>)\s{0,64}")
_QUOTED_VALUE: Final = re.compile(r"\\{0,64}(?P<quote>[\"'])")
_BARE_VALUE: Final = re.compile(r"[^\s,}\]\"'\\&]+")
_BRACKET: Final = re.compile(r"[\[\]{}]")
_ESCAPED_LETTER: Final = re.compile(r"(?<!\\)\\++u00(?P<code>[3-7][0-9a-fA-F])")
_ESCAPED_QUOTE: Final = re.compile(r"(?<!\\)(\\++)u0022")

_MAX_REMEMBERED_NAMES: Final = 4096  # names are chosen by whoever calls the API: the memo must be bounded
MAX_TEXT: Final = 1024 * 1024  # of an unreadable record that is kept


class Redactor:
    """
    Replaces secrets by tokens keyed by *key*; thread-safe.

    *access_key_ids* are the names under which this cloud gives access key ids that are to be shortened. Without any,
    they stay whole under their names (CloudTrail's accessKeyId is what rules join on).
    """

    def __init__(self, key: bytes, *, access_key_ids: Collection[str] = frozenset()) -> None:
        self._hash = blake2b(key=key if len(key) <= 64 else blake2b(key).digest(), digest_size=8)
        self._access_key_ids = frozenset(access_key_ids)
        self._names: dict[str, tuple[str, str]] = {}

    def token(self, secret: str) -> str:
        """The token that stands for *secret*; a token stands for itself."""
        if secret.startswith("[secret:") and TOKEN.fullmatch(secret):
            return secret
        digest = self._hash.copy()
        digest.update(secret.encode("utf-8", "surrogatepass"))
        return f"[secret:{digest.hexdigest()}]"

    def access_key_id(self, value: str) -> str:
        """An access key id as its first eight characters and its token."""
        if not value or (value[-1] == "]" and _ACCESS_KEY_TOKEN.fullmatch(value)):
            return value
        return value[:8] + self.token(value)

    def name(self, key: str) -> tuple[str, str]:
        """What stands under *key* (SECRET, HOLDER, ACCESS_KEY_ID or PLAIN), and the key as it may be shown."""
        known = self._names.get(key)
        if known is None:
            known = (self._sort(key), self.text(key))
            if len(key) <= 64:
                if len(self._names) >= _MAX_REMEMBERED_NAMES:
                    self._names.clear()
                self._names[key] = known
        return known

    def hidden(self, value: Any) -> Any:
        """*value* with every text and number in it replaced: it stands under a secret's name."""
        if isinstance(value, str):
            return value if value in _HARMLESS else self.token(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return value if value in (0, 1) else self.token(str(value))
        if isinstance(value, dict):
            return {self.name(key)[1]: self.hidden(item) for key, item in value.items()}
        return [self.hidden(item) for item in value]

    def held(self, value: str | float) -> str | float:
        """A text or number that stands under the name of a holder of secrets: an access key id there is still one."""
        if isinstance(value, str):
            if _ACCESS_KEY_SHAPE.fullmatch(value) or _ACCESS_KEY_TOKEN.fullmatch(value):
                return self.access_key_id(value)
            if _AWS_ACCESS_KEY_ID.fullmatch(value):
                return value
        hidden: str | float = self.hidden(value)
        return hidden

    def hidden_pair(self, members: dict[str, Any]) -> str | None:
        """The member of *members* that holds a secret because another member names it: {Key: DB_PASSWORD, Value: …}."""
        for value_name in _PAIR_VALUES:
            if value_name in members:
                for name_name in _PAIR_NAMES:
                    name = members.get(name_name)
                    if isinstance(name, str) and self.name(name)[0] in (SECRET, HOLDER):
                        return value_name
        return None

    def text(self, text: str) -> str:
        """*text* with the secrets in it replaced, recognised by their shape."""
        if len(text) < SHORTEST:
            return text
        # Each needle costs some 30 ns and settles nearly every text; the expressions behind them cost far more.
        if "KID" in text:
            text = _ACCESS_KEY_SHAPE.sub(lambda found: self.access_key_id(found[0]), text)
        if "eyJ" in text:
            text = _JWT.sub(lambda found: self.token(found[0]), text)
        if "-----BEGIN" in text:
            text = _PRIVATE_KEY.sub(lambda found: self.token(found[0]), text)
        if "xox" in text or "xapp-" in text or "glpat-" in text or ("_" in text and ("gh" in text or "whsec_" in text)):
            text = _VENDOR.sub(lambda found: self.token(found[0]), text)
        if "//" in text or "hook/" in text:
            text = _WEBHOOK.sub(self._keeping, text)
            text = _USERINFO.sub(self._keeping, text)
        if "=" in text:
            text = _PAIR.sub(self._named, text)
        if ":" in text:
            text = self._after_colons(text)
        if "%" in text:
            text = self._percent_encoded(text)
        return text

    def broken(self, text: str) -> str:
        """
        JSON text that does not parse, its secrets replaced as well as can be told, rather too much than too little.

        Everything after a secret's name that is not closed is taken for the secret.
        """
        return self.text(self._quoted_pairs(_unescaped(text)))

    def _sort(self, key: str) -> str:
        if not key.isascii():
            key = unicodedata.normalize("NFKC", key)
        name = "".join(filter(str.isalnum, key.lower()))
        if name in self._access_key_ids:
            return ACCESS_KEY_ID
        if name in _HOLDERS:
            return HOLDER
        if name in _SECRETS or _PASSWORD_NUMBERED.search(name):
            return SECRET
        if name.endswith(_SECRET_ENDINGS) and not name.endswith(_NOT_SECRET_ENDINGS):
            return SECRET
        return PLAIN

    def _keeping(self, found: re.Match[str]) -> str:
        secret = found["secret"]
        return found["keep"] + (secret if TOKEN.match(secret) else self.token(secret))

    def _named(self, found: re.Match[str]) -> str:
        kept, value = found["name"] + found["mid"], found["value"]
        sort = self.name(found["name"])[0]
        if sort == SECRET and value not in _HARMLESS and not TOKEN.match(value):
            return kept + self.token(unquote(value))
        if sort == ACCESS_KEY_ID:
            return kept + self.access_key_id(value)
        return found[0]

    def _after_colons(self, text: str) -> str:
        if '"' in text or "'" in text:
            text = self._quoted_pairs(text)
            if "u00" in text:  # "\\u0050assword": what hides nothing stays as it was written
                plain = _unescaped(text)
                redacted = self._quoted_pairs(plain)
                text = text if redacted == plain else redacted
        lower = text.lower()
        if "authorization" in lower or "cookie" in lower or "token" in lower:
            text = _HEADER.sub(self._keeping, text)
        if "bearer" in lower or "basic" in lower:
            text = _BEARER.sub(self._keeping, text)
        return text

    def _percent_encoded(self, text: str) -> str:
        """Secrets may hide behind percent-encoding; what has none stays as it was written."""
        plain = unquote(text, errors="replace")
        if plain == text or len(plain) >= len(text):
            return text
        redacted = self.text(plain)
        return text if redacted == plain else redacted

    def _quoted_pairs(self, text: str) -> str:
        """`"name": value` in any text, at any level of backslashes; linear in its length."""
        parts: list[str] = []
        done = position = 0
        while (found := _QUOTED_NAME.search(text, position)) is not None:
            position = found.end()
            sort = self.name(found["name"])[0]
            if sort == PLAIN:
                position = found.end("name") + len(found["escape"]) + 1
                continue
            position = found.end()
            if sort != SECRET and text[position : position + 1] in ("{", "["):
                continue  # its members are read by their own names
            start, end = _value_span(text, position)
            value = text[start:end]
            position = end
            if sort == ACCESS_KEY_ID:
                parts += (text[done:start], self.access_key_id(value))
                done = end
                continue
            if value in _HARMLESS or TOKEN.fullmatch(value):
                continue
            parts += (text[done:start], self.token(value))
            done = end
        if not parts:
            return text
        parts.append(text[done:])
        return "".join(parts)


def _value_span(text: str, start: int) -> tuple[int, int]:
    """Where the value that begins at *start* lies, its quotes left out; to the end of the text if it is not closed."""
    quoted = _QUOTED_VALUE.match(text, start)
    if quoted is not None:
        level = quoted.end() - quoted.start() - 1
        begin = position = quoted.end()
        while (end := text.find(quoted["quote"], position)) >= 0:
            escape = end
            while escape > begin and text[escape - 1] == "\\" and end - escape <= level:
                escape -= 1
            if end - escape <= level:  # as few backslashes as the opening quote, or fewer: an outer text ends here
                return begin, escape
            position = end + 1
        return begin, len(text)
    if text[start : start + 1] in ("{", "["):
        depth = 0
        for bracket in _BRACKET.finditer(text, start):
            depth += 1 if bracket[0] in "[{" else -1
            if depth == 0:
                # An odd number of quotes: this bracket is part of a text, and where the object ends cannot be told.
                closed = text.count('"', start, bracket.end()) % 2 == 0
                return start, bracket.end() if closed else len(text)
        return start, len(text)
    bare = _BARE_VALUE.match(text, start)
    return (start, bare.end()) if bare else (start, start)


def _unescaped(text: str) -> str:
    r"""*text* with `\u0050` and the like as the letters that they are, at any level of backslashes; quotes too."""
    return _ESCAPED_QUOTE.sub(r'\1"', _ESCAPED_LETTER.sub(_letter, text))


def _letter(found: re.Match[str]) -> str:
    letter = chr(int(found["code"], 16))
    return letter if letter.isalnum() else found[0]
