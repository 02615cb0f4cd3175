# Pairs of django-pglock: see script.rs.
import os
import sys
import time

try:
    from importlib.metadata import version

    import django
    import psycopg  # noqa: F401
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=["pgactivity", "pglock"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": os.environ["PGDATABASE"],
                "HOST": os.environ["PGHOST"],
                "PORT": os.environ["PGPORT"],
                "USER": os.environ["PGUSER"],
            }
        },
    )
    django.setup()
    import pglock
except ImportError as error:
    print(error, flush=True)
    sys.exit()

python = "%d.%d" % sys.version_info[:2]
print(f"ready django-pglock {version('django-pglock')} (Python {python}, Django {django.__version__})", flush=True)
for line in sys.stdin:
    micros = []
    for key in range(1, int(line) + 1):
        start = time.perf_counter()
        with pglock.advisory(key):
            pass
        micros.append((time.perf_counter() - start) * 1e6)
    print(*micros, flush=True)
