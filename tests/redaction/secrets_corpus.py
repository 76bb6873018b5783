"""Secrets and what looks like them. Each is put together at run time: no scanner may take this file for a leak."""

from __future__ import annotations

import base64
import json
import random
import string

ALNUM = string.ascii_letters + string.digits
_random = random.Random(20)


def some(length: int, letters: str = ALNUM) -> str:
    """Random characters, the same in every run."""
    return "".join(_random.choice(letters) for _ in range(length))


def b64(value: object) -> str:
    """Base64 for URLs, without its padding."""
    raw = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
WORD = ALNUM + "_-"


def jwt(**header: str) -> str:
    """A token of three parts."""
    return ".".join((b64({"alg": "HS256", **header}), b64({"sub": "1234567890", "iat": 1516239022}), some(43, WORD)))


def pem(kind: str = "", gap: str = "\n", lines: int = 4) -> str:
    """A private key."""
    body = gap.join(some(64, ALNUM + "+/") for _ in range(lines))
    dashes = "-" * 5
    return f"{dashes}BEGIN {kind}PRIVATE KEY{dashes}{gap}{body}{gap}{dashes}END {kind}PRIVATE KEY{dashes}"


# By the rule that finds them.
KEYS: dict[str, list[str]] = {
    "openai_key": [
        "sk-" + some(48),
        "sk-" + "a" * 40,
        "sk-" + "proj-" + some(64, WORD),
        "sk-" + "svcacct-" + some(40, WORD),
        "sk-" + some(20) + "T3Blbk" + "FJ" + some(20),
        "sk-" + some(32, HEX),
    ],
    "anthropic_key": ["sk-" + "ant-api03-" + some(93, WORD) + "AA", "sk-" + "ant-admin01-" + some(93, WORD)],
    "openrouter_key": ["sk-" + "or-v1-" + some(64, HEX)],
    "langfuse_key": ["sk-" + "lf-" + "1f3a8b2c-9d4e-4f5a-8b6c-7d8e9f0a1b2c"],
    "google_key": ["AI" + "za" + some(35, WORD[:-1]) for _ in range(3)],
    "google_token": ["ya29" + "." + some(60, WORD), "GOC" + "SPX-" + some(28, WORD)],
    "aws_access_key": ["AK" + "IA" + some(16, UPPER), "AS" + "IA" + some(16, UPPER)],
    "github_token": ["gh" + kind + "_" + some(36) for kind in "pousr"]
    + ["github" + "_pat_" + some(22) + "_" + some(59)],
    "gitlab_token": ["gl" + "pat-" + some(20, WORD)],
    "slack_token": [
        "xo" + "xb-" + f"{some(12, string.digits)}-{some(12, string.digits)}-{some(24)}",
        "xo" + "xp-" + some(60),
    ],
    "stripe_key": ["sk" + "_live_" + some(24), "rk" + "_live_" + some(24), "whs" + "ec_" + some(32)],
    "huggingface_token": ["h" + "f_" + some(34)],
    "npm_token": ["np" + "m_" + some(36)],
    "pypi_token": ["py" + "pi-" + "AgEIcHlwaS5vcmc" + some(60, WORD)],
    "sendgrid_key": ["S" + "G." + some(22, WORD) + "." + some(43, WORD)],
    "twilio_key": ["S" + "K" + some(32, HEX)],
    "databricks_token": ["da" + "pi" + some(32, HEX)],
    "groq_key": ["gs" + "k_" + some(52)],
    "xai_key": ["x" + "ai-" + some(80)],
    "replicate_token": ["r" + "8_" + some(37)],
    "perplexity_key": ["pp" + "lx-" + some(48)],
    "fireworks_key": ["f" + "w_" + some(24)],
    "nvidia_key": ["nv" + "api-" + some(64, WORD)],
    "cerebras_key": ["cs" + "k-" + some(48)],
    "tavily_key": ["tv" + "ly-" + some(32)],
    "langsmith_key": ["lsv2" + "_pt_" + some(32, HEX) + "_" + some(10, HEX)],
    "pinecone_key": ["pc" + "sk_" + some(64)],
    "vault_token": ["hv" + "s." + some(90, WORD)],
    "docker_token": ["dckr" + "_pat_" + some(27, WORD)],
    "digitalocean_token": ["dop" + "_v1_" + some(64, HEX)],
    "grafana_token": ["gl" + "sa_" + some(32) + "_" + some(8, HEX)],
    "atlassian_token": ["ATA" + "TT3" + some(180, WORD)],
    "linear_key": ["lin" + "_api_" + some(40)],
    "notion_token": ["nt" + "n_" + some(46)],
    "shopify_token": ["shp" + "at_" + some(32, HEX)],
    "newrelic_key": ["NR" + "AK-" + some(27, UPPER)],
    "telegram_token": ["123456789" + ":AA" + some(33, WORD)],
    "jwt": [jwt(), jwt(typ="JWT"), jwt(kid="2024-01"), jwt(alg="RS256")],
    "private_key": [
        pem(),
        pem("RSA "),
        pem("EC "),
        pem("OPENSSH "),
        pem("ENCRYPTED "),
        pem(gap="\\n"),
    ],
}

PASSWORDS = ["hunter2", "Tr0ub4dor&3", "correct-horse-battery", "p@ss/w0rd", "žluťoučký1", "x" * 3 + "9!", some(24)]

# ``{}`` is where the secret stands; what is around it stays.
NAMED: dict[str, list[tuple[str, str]]] = {
    "named_secret": [
        ("password={}", "hunter2"),
        ("Server=db;Database=x;User Id=sa;Password={};Encrypt=true", some(16)),
        ("host=db user=me password={} dbname=x", "letmein"),
        ("PWD={};", "Passw0rd"),
        ("export OPENAI_API_KEY={}", some(20)),
        ("AWS_SECRET_ACCESS_KEY={}", some(40, ALNUM + "+/")),
        ("aws_secret_access_key = {}", some(40, ALNUM + "+/")),
        ("AccountName=acme;AccountKey={};EndpointSuffix=core.windows.net", some(86, ALNUM + "+/") + "=="),
        ("Endpoint=sb://x.example/;SharedAccessKeyName=Root;SharedAccessKey={}", some(43) + "="),
        ("https://x.example/c/b.txt?sv=2022&sr=b&sig={}&se=2024", some(43) + "%3D"),
        ("https://s3.example/b/k?X-Amz-Expires=300&X-Amz-Signature={}", some(64, HEX)),
        ("GET /v1/items?api_key={}&page=2", some(20)),
        ("GET /maps?key={}&q=x", some(32)),
        ("https://x.example/cb?access_token={}#top", some(30)),
        ("https://x.example/cb?token={}", "abcdef"),
        ('config = {"client_secret": "{}"}', some(20)),
        ("settings: {'db_password': '{}', 'port': 5432}", "s3cr3t pass phrase"),
        ("X-Api-Key: {}", some(20)),
        ("x-auth-token={}", some(12)),
        ("Cookie: {}", "session=abc123; csrf=" + some(8)),
        ("Set-Cookie: {}", "sid=" + some(20) + "; HttpOnly"),
        ("password: {}", "hunter2"),
        ("password='{}' and more", "it\\'s mine"),
        ("password='{}", "open end"),
        ("password='{}\nand more", "open end"),
        ("password={}", "$ecret1"),
        ("password={}", "x" * 300),
        ("x-auth-token: {}", some(24)),
        ("db:\n  host: x\n  password: {}\n  port: 5432", "letmein"),
        ("api-key: '{}'", some(10)),
        ('passphrase="{}"', "one two three"),
        ("PGPASSWORD={} psql -h db", "abc123"),
        ("curl --token {} https://x.example", some(12)),
        ("mysql --password {} -u root", "rootpw1"),
        ("secret => {}", some(12)),
        ("private_token={}", some(20)),
        ("refresh_token: {}", some(30)),
        ("client_secret={}", "abc~def.ghi"),
        ('{\\"password\\": \\"{}\\", \\"n\\": 1', "hunter2"),
    ],
    "authorization": [
        ("-H 'Authorization: Bearer {}' https://x.example", some(30)),
        ("authorization: token {}", some(40, HEX)),
        ("Authorization: Basic {}", base64.b64encode(b"user:pass").decode()),
        ("Authorization: Bearer {}", some(20)),
        ("it sends Bearer {} with each call", some(32)),
        ("used Basic {} before", base64.b64encode(b"alice:wonderland1").decode()),
        ("bearer {}", some(24)),
    ],
    "connection_string": [
        ("postgres://app:{}@db.example:5432/shop", "hunter2"),
        ("postgresql+psycopg2://app:{}@db.example/shop", some(20)),
        ("mysql://root:{}@127.0.0.1/x", "p%40ss"),
        ("mongodb+srv://u:{}@cluster0.example.net/?retryWrites=true", some(16)),
        ("redis://:{}@cache:6379/0", some(16)),
        ("amqp://guest:{}@rabbit//", "gu3st!"),
        ("https://alice:{}@git.example/x.git", some(12)),
        ("see postgres://u:{}@h/d, then go on", "pa$$word"),
        ("ftp://me:{}@files.example/", "a@b"),
        ("DATABASE_URL=postgres://u:{}@h/d", "pw/with/slash"),
        (":\\/\\/".join(('{"url": "redis', 'u:{}@cache"')), "abc"),
    ],
    "webhook": [
        (
            "POST https://hooks.slack." + "com/services/{}",
            "T" + some(8, UPPER) + "/B" + some(8, UPPER) + "/" + some(24),
        ),
        ("https://discord.com/api/webhooks" + "/{}", some(18, string.digits) + "/" + some(68, WORD)),
    ],
}

NEGATIVES = [
    "sk-learn and scikit-learn are the same",
    "pip install sk-learn-extension-for-time-series",
    "sk-some-long-branch-name-without-any-digits",
    "the token count is 5",
    "password reset",
    "Please reset your password: it has expired.",
    "Password: required",
    "Your password must have 8 characters; a passphrase is better.",
    "max_tokens=4096",
    "input_tokens: 1200, output_tokens: 300",
    "next_page_token=abc123def456",
    "token_count=500 tokens=3",
    "tokenizer=cl100k_base",
    "keyboard=qwerty monkey=true",
    "key=value",
    "sort_key=created_at primary_key=id",
    "for token in doc: print(token.text)",
    "token: Token = tokens[0]",
    "api_key=os.environ['OPENAI_API_KEY']",
    "api_key = os.getenv('OPENAI_API_KEY')",
    "client = OpenAI(api_key=api_key)",
    "connect(password=password, token=self.token)",
    "password = getpass.getpass()",
    "password=None, secret=True",
    "password: str",
    "password: Optional[str] = None",
    "def login(user: str, password: str) -> bool:",
    "api_key=${OPENAI_API_KEY}",
    "api_key=$OPENAI_API_KEY",
    "api_key=<your key>",
    "api_key=YOUR_API_KEY",
    "token: ${{ secrets.GITHUB_TOKEN }}",
    "password=********",
    "password=xxxxx",
    "password=%s",
    "password={password}",
    "password=[hidden]",
    "password=[redacted:named_secret]",
    "postgres://user:${DB_PASSWORD}@host/db",
    "postgres://user:<password>@host/db",
    "postgres://user@host/db",
    "http://localhost:8080/users/@me",
    "http://[::1]:8080/a@b",
    "https://medium.com/@writer/post-123",
    "mailto:jane@example.com",
    "bearer of bad news",
    "Bearer tokens are sent in a header",
    "Bearer authentication-scheme",
    "basic understanding of the matter",
    "Basic knowledge is required",
    "a basic authentication scheme",
    "Authorization is required: see the manual",
    "Authorization: token required",
    'f"pass api_key=",\n    model=x, "',
    "    token: TokenOpt = None,",
    "class A:\n    token: OAuthToken\n    auth: httpx.Auth | None\n",
    "f(api_key=_sdk.api_key, credentials=boto3_info.credentials)",
    "f(access_token=access, auth=auth_context)",
    '{"output_cost_per_token": 0.00006, "input_cost_per_token": 0.00001}',
    "output_cost_per_token: 0.00006",
    "password: basic understanding is enough",
    b64("no JSON at all") + "." + b64("x" * 20) + "." + some(20),
    "eyJ" + "f" * 30 + "." + some(20) + "." + some(20),
    "550e8400-e29b-41d4-a716-446655440000",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00f067aa0ba902b7",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "call_abcdefghijklmnopqrstuvwx",
    "call_" + some(24),
    "chatcmpl-" + some(29),
    "resp_" + some(48, HEX),
    "msg_" + some(24),
    "toolu_01" + some(22),
    "run_" + some(24),
    "file-" + some(24),
    "asst_" + some(24),
    "fp_44709d6fcb",
    "gpt-4o-mini-2024-07-18",
    "ft:gpt-3.5-turbo-0125:acme::9AbCdEfG",
    "claude-3-5-sonnet-20241022",
    "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "data:image/png;base64," + base64.b64encode(bytes(_random.randrange(256) for _ in range(3000))).decode(),
    base64.b64encode(bytes(_random.randrange(256) for _ in range(6000))).decode(),
    "eyJ is how base64 of JSON begins",
    "eyJmb28iOiJiYXIifQ is an object, and no token",
    b64({"foo": "bar"}) + "." + b64({"a": 1}) + "." + some(20),
    "com.example.package.SomeVeryLongClassNameForTests",
    "hf_hub_download(repo_id='x')",
    "npm_config_registry and npm_lifecycle_event",
    "pypi-server and pypi-mirror-with-a-long-name-for-the-whole-company-network",
    "github_path/to/some/file",
    "gsk_model is GlaxoSmithKline's",
    "AKIA is a prefix of keys",
    "SKU 12345, SK12",
    "SK-2024-0001",
    "xai-explainability-methods-for-deep-learning-models-in-practice",
    "x-axis and xoxb- tokens",
    "r8_model",
    "fw_version and fw_update_in_progress_please_wait",
    "SG.1.2.3",
    "hvs.example is a host",
    "dapi_endpoint",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
    "A file that starts with -----BEGIN PRIVATE KEY----- is a key.",
    "signature=inspect.signature(f)",
    "def f(x): ...  # signature: f(x)",
    "The secret to happiness: patience",
    "secret: the ingredient that nobody tells",
    "Session: 4 of 7",
    "session.id=4f2",
    "cookie recipes: flour, sugar",
    "credentials: none",
    "auth: true",
    "author=Jane Doe",
    "oauth2 authorize endpoint",
    "compass=north bypass=true",
    "passed=12 failed=0 pass=12",
    "--token-limit 500 --key-file x.pem",
    "time=12:30:45 key: C major",
    '{"type": "object", "properties": {"password": {"type": "string", "description": "what one logs in with"}}',
    '{"token_type": "Bearer", "max_tokens": 5}',
    '{"usage": {"prompt_tokens": 12, "completion_tokens": 4}',
    "https://example.com/search?q=token&sort=key",
    "https://example.com/a?page=2&size=50&order=asc",
    "The API key is stored in the vault.",
    "Tokens: 12, cost: 3",
    "if token == expected: return True",
    "token != other and key >= 3",
    "password is not in the list of fields",
    "password_reset_url=https://example.com/reset",
]
