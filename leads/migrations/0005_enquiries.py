from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Lower

import leads.models.folded
from leads import normalise

PIECE = 2_000


def fold_keys(apps: Any, schema_editor: Any) -> None:
    """The database folds plain letters by itself, quickly; other names, and other addresses, are folded here."""
    rows = apps.get_model("leads", "Lead")._default_manager.using(schema_editor.connection.alias)
    rows.update(name_key=Lower("name"))
    last = None
    while True:
        piece = rows.order_by("pk").values_list("pk", "name", "email")
        names = list((piece.filter(pk__gt=last) if last else piece)[:PIECE])
        if not names:
            break
        for pk, name, email in names:
            if not name.isascii():
                rows.filter(pk=pk).update(name_key=leads.models.folded.folded(name)[:200])
            if not email.isascii():
                rows.filter(pk=pk).update(email_key=normalise.email_key(email))
        last = names[-1][0]
    if schema_editor.connection.vendor == "postgresql":
        # checks of rows that were written twice must not wait for the commit: an index comes first
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0004_outcomes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(model_name="lead", name="leads_name_begins"),
        # what the database generates cannot become a plain column
        migrations.RemoveField(model_name="lead", name="name_key"),
        migrations.AddField(
            model_name="lead",
            name="name_key",
            field=leads.models.folded.FoldedField(
                default="", max_length=200, of="name", verbose_name="name, in small letters"
            ),
        ),
        migrations.RunPython(fold_keys, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(fields=["name_key"], name="leads_name_begins", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("phone", ""), _negated=True), fields=["organization", "phone"], name="leads_phone"
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="mail_from",
            field=models.EmailField(
                blank=True,
                default="",
                help_text=(
                    "Mail to leads comes from here. Empty: the site's own address. The mail provider must allow it."
                ),
                max_length=254,
                verbose_name="sender's address",
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="mail_reply_to",
            field=models.EmailField(
                blank=True,
                default="",
                help_text="Where leads' replies go. Empty: to whoever looks after the lead, or else to a manager.",
                max_length=254,
                verbose_name="reply address",
            ),
        ),
        migrations.AddField(
            model_name="submission",
            name="content",
            field=models.JSONField(blank=True, default=dict, editable=False, verbose_name="content"),
        ),
        migrations.AddIndex(
            model_name="submission",
            index=models.Index(
                condition=models.Q(("state__in", ["received", "failed"])),
                fields=["received_at"],
                name="leads_submissions_open",
            ),
        ),
    ]
