from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0037_deploy_marks"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderFailure",
            fields=[
                ("provider", models.CharField(max_length=50, primary_key=True, serialize=False)),
                ("error_type", models.CharField(max_length=100)),
                ("at", models.DateTimeField()),
                ("job_id", models.UUIDField(null=True)),
            ],
            options={"default_permissions": ()},
        ),
    ]
