"""Making a service from its settings: the audit opened, the decoder begun, the model to come."""

from __future__ import annotations

from functools import partial

from tinymed.images.decoder import Decoder
from tinymed.serve.audit.location import audit_path
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.desk.load_model import load_model
from tinymed.serve.service import Service
from tinymed.serve.settings import ServeSettings


def make_service(settings: ServeSettings) -> Service:
    """A service that has not started; close it, started or not.

    Raises:
        AuditError: If the audit cannot be written.
    """
    audit = AuditLog.open(settings.audit or audit_path())
    return Service(settings, load=partial(load_model, settings), decoder=Decoder(), audit=audit)
