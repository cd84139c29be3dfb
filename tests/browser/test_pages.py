"""Every page of the admin and of the members, in a browser."""

from __future__ import annotations

import time
import pytest
from django.urls import reverse

from accounts.models import User
from leads.models import Lead
from tests.admin.pages import Page, every_page, of_each_kind
from tests.admin.rows import Rows

from .conftest import Visit


def test_try(visit: Visit, superuser: User) -> None:
    Rows().add(3)
    visitor = visit(superuser)
    pages = [p for p in of_each_kind(every_page(superuser, pairs=False)) if not p.data and 'search:' not in p.name and 'choices' not in p.name and '?' not in p.name and ' pages ' not in p.name]
    print(len(pages))
    wrong = {}
    for p in pages:
        t0 = time.time()
        visitor.open(p.path)
        t1 = time.time()
        found = visitor.look()
        t2 = time.time()
        print(f"{t1-t0:.2f} {t2-t1:.2f} {p.name} {p.path}", flush=True)
        for f in found: print("      ", f)
    for f in visitor.faults: print("FAULT", f)
    visitor.faults.clear()
