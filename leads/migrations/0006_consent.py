import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0005_enquiries"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ConsentRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False, verbose_name="id"
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[("request", "replies to the request"), ("marketing", "news and offers")],
                        max_length=10,
                        verbose_name="purpose",
                    ),
                ),
                (
                    "act",
                    models.CharField(
                        choices=[("asked", "waiting for confirmation"), ("given", "given"), ("withdrawn", "withdrawn")],
                        max_length=10,
                        verbose_name="consent",
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("form", "web form"),
                            ("api", "API"),
                            ("staff", "told to staff"),
                            ("import", "import"),
                            ("confirmed", "confirmed by e-mail"),
                            ("link", "unsubscribe link"),
                            ("earlier", "recorded before this log began"),
                        ],
                        max_length=10,
                        verbose_name="source",
                    ),
                ),
                ("wording", models.TextField(blank=True, default="", verbose_name="wording")),
                (
                    "wording_version",
                    models.CharField(blank=True, default="", max_length=20, verbose_name="version of the wording"),
                ),
                ("old", models.DateTimeField(blank=True, null=True, verbose_name="consent before")),
                ("new", models.DateTimeField(blank=True, null=True, verbose_name="consent after")),
                ("old_unsubscribed", models.DateTimeField(blank=True, null=True, verbose_name="unsubscribed before")),
                ("new_unsubscribed", models.DateTimeField(blank=True, null=True, verbose_name="unsubscribed after")),
                ("address_hash", models.CharField(blank=True, default="", editable=False, max_length=64)),
                ("at", models.DateTimeField(auto_now_add=True, verbose_name="recorded")),
            ],
            options={
                "verbose_name": "consent",
                "verbose_name_plural": "consents",
                "ordering": ["-at"],
            },
        ),
        migrations.AlterModelOptions(
            name="lead",
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("sync_lead", "Can send leads to the CRM"),
                    ("assign_lead", "Can assign leads"),
                    ("change_lead_status", "Can change the status of leads"),
                    ("erase_lead", "Can erase the personal data of leads"),
                    ("record_consent", "Can record and withdraw the consent of leads"),
                ],
                "verbose_name": "lead",
                "verbose_name_plural": "leads",
            },
        ),
        # "You may write to me about my request" was all that anybody agreed to: nobody has agreed to news and offers
        migrations.RenameField(model_name="lead", old_name="consent_at", new_name="request_consent_at"),
        migrations.AlterField(
            model_name="lead",
            name="request_consent_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="may be written to about the request"),
        ),
        migrations.AddField(
            model_name="lead",
            name="marketing_consent_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="may be sent news and offers"),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("marketing_consent_at__isnull", False), ("unsubscribed_at__isnull", True)),
                fields=["organization", "id"],
                name="leads_get_news",
            ),
        ),
        migrations.AddField(
            model_name="consentrecord",
            name="actor",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="recorded by",
            ),
        ),
        migrations.AddField(
            model_name="consentrecord",
            name="lead",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="consents",
                to="leads.lead",
                verbose_name="lead",
            ),
        ),
        migrations.AddField(
            model_name="consentrecord",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="consents",
                to="leads.organization",
                verbose_name="organization",
            ),
        ),
        migrations.AddIndex(
            model_name="consentrecord",
            index=models.Index(fields=["lead", "-at"], name="leads_consent_newest"),
        ),
        migrations.AddIndex(
            model_name="consentrecord",
            index=models.Index(fields=["organization", "address_hash", "-at"], name="leads_consent_of_address"),
        ),
        migrations.AddIndex(
            model_name="consentrecord",
            index=models.Index(fields=["at", "id", "purpose", "act", "source"], name="leads_consent_list"),
        ),
        migrations.AddIndex(
            model_name="consentrecord",
            index=models.Index(
                fields=["organization", "at", "id", "purpose", "act", "source"], name="leads_consent_list_of_org"
            ),
        ),
    ]
