"""The company's OpenID provider, for the tests: django-oauth-toolkit on the loopback interface, as a program.

    python provider.py DIRECTORY

Prints its issuer and serves until it is ended. `DIRECTORY/provider.json` sets it up: `interval` and `lifetime` in
seconds. Every request for a token is noted in `DIRECTORY/tokens.jsonl`.

The toolkit leaves three things of RFC 8628 to those who use it, and they are here: the endpoint's name in the discovery
document, `slow_down` for those who poll too often, and `expired_token` for a code that nobody confirmed in time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import django
from cheroot.wsgi import Server
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

CLIENT_ID = "algo"
USER, PASSWORD = "jane", "correct horse battery staple"
GATEWAY_ID, GATEWAY_SECRET = "gateway", "a secret between the gateway and the provider"

LOGIN_PAGE = """<form method="post">{% csrf_token %}{{ form }}<button>Log in</button></form>"""


def configure(directory: Path, address: str, *, interval: int, lifetime: int) -> None:
    """Django with nothing in it but accounts and the toolkit."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    apps = ["auth", "contenttypes", "sessions"]
    settings.configure(
        SECRET_KEY="of no use outside the tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        USE_TZ=True,
        ROOT_URLCONF=__name__,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(directory / "provider.sqlite"),
                "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "oauth2_provider"],
        MIGRATION_MODULES=dict.fromkeys([*apps, "oauth2_provider"]),
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN_PAGE}),
                        "django.template.loaders.app_directories.Loader",
                    ]
                },
            }
        ],
        LOGIN_URL="/login/",
        LOGGING={
            "version": 1,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {"django.request": {"handlers": ["stderr"], "level": "ERROR", "propagate": False}},
        },
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": key.decode(),
            "OIDC_ISS_ENDPOINT": f"{address}/o",
            "SCOPES": {"openid": "who you are", "platform": "the platform and the archive"},
            "OAUTH_DEVICE_VERIFICATION_URI": f"{address}/o/device/",
            "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": lambda code: f"{address}/o/device/?user_code={code}",
            "DEVICE_FLOW_INTERVAL": interval,
            "ACCESS_TOKEN_EXPIRE_SECONDS": lifetime,
        },
    )
    django.setup()


def fill() -> None:
    """The tables, Jane, the public client that is algo, and the gateway, which may look into tokens."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_user(USER, password=PASSWORD)
    gateway = User.objects.create_user(GATEWAY_ID)
    Application.objects.create(
        client_id=CLIENT_ID,
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_DEVICE_CODE,
        algorithm=Application.RS256_ALGORITHM,
        name="algo",
    )
    Application.objects.create(
        client_id=GATEWAY_ID,
        client_secret=GATEWAY_SECRET,
        user=gateway,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        name="gateway",
    )


def urls(directory: Path) -> list[Any]:
    """The toolkit's own pages below `/o/`, after what it leaves to others."""
    from django.contrib.auth.views import LoginView
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import include, path
    from oauth2_provider.models import DeviceGrant
    from oauth2_provider.views import ConnectDiscoveryInfoView, TokenView

    asked: dict[str, float] = {}

    class Discovery(ConnectDiscoveryInfoView):  # type: ignore[misc]
        def get(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            found = json.loads(super().get(request, *args, **options).content)
            address = request.build_absolute_uri("/o/")
            return JsonResponse(
                {
                    **found,
                    "device_authorization_endpoint": f"{address}device-authorization/",
                    "revocation_endpoint": f"{address}revoke_token/",
                }
            )

    class Token(TokenView):  # type: ignore[misc]
        def device_flow_token_response(self, request: HttpRequest, device_code: str, **options: Any) -> HttpResponse:
            grant = DeviceGrant.objects.filter(device_code=device_code).first()
            if grant and grant.status == grant.AUTHORIZATION_PENDING and not grant.is_expired():
                before, asked[device_code] = asked.get(device_code, 0.0), time.monotonic()
                if asked[device_code] - before < settings.OAUTH2_PROVIDER["DEVICE_FLOW_INTERVAL"]:
                    return JsonResponse({"error": "slow_down"}, status=400)
            return super().device_flow_token_response(request, device_code, **options)

        def post(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            response = super().post(request, *args, **options)
            error = json.loads(response.content or b"{}").get("error")
            note = {"grant": request.POST.get("grant_type", "").rpartition(":")[2], "error": error}
            with (directory / "tokens.jsonl").open("a") as file:
                file.write(json.dumps(note) + "\n")
            return response

    return [
        path("login/", LoginView.as_view()),
        path("o/.well-known/openid-configuration", Discovery.as_view()),
        path("o/token/", Token.as_view()),
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    ]


def main() -> None:
    directory = Path(sys.argv[1])
    server = Server(("127.0.0.1", 0), None, numthreads=4)
    server.prepare()
    address = f"http://127.0.0.1:{server.bind_addr[1]}"
    configure(directory, address, **json.loads((directory / "provider.json").read_text()))
    fill()
    from django.core.wsgi import get_wsgi_application

    globals()["urlpatterns"] = urls(directory)
    server.wsgi_app = get_wsgi_application()
    print(f"{address}/o", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
