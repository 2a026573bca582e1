from . import files, setup
from .case import Failure, Skip, check, equal, test, wait_for
from .run import tls_counters
from .sluice import Server, client, write_ini
