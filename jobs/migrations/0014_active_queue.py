from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("jobs", "0013_news_dropped")]

    operations = [
        # every claim wrote it, and jobs_queue_state finds the active jobs of a queue as well
        migrations.RemoveIndex("job", "jobs_active_queue"),
    ]
