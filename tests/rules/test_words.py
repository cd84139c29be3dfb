"""A rule in words, in English and Portuguese."""

import pytest
from django.utils import translation

from jobs import Cron, Every
from jobs.rules.words import in_words

SAID = [
    (Every(1), "every second", "a cada segundo"),
    (Every(300), "every 5 minutes", "a cada 5 minutos"),
    (Every(86_400), "every day", "todos os dias"),
    (Cron("0 9 * * 1-5"), "at 09:00, on Monday to Friday", "às 09:00, de segunda-feira a sexta-feira"),
    (Cron("30 8,14 * * *"), "at 08:30 and 14:30", "às 08:30 e 14:30"),
    (Cron("*/15 8-18 * * *"), "every 15 minutes, in hour 8-18", "a cada 15 minutos, na hora 8-18"),
    (Cron("* * * * *"), "every minute", "a cada minuto"),
    (Cron("*/10 * * * * *"), "every 10 seconds", "a cada 10 segundos"),
    (Cron("5 0 9 * * *"), "at 09:00:05", "às 09:00:05"),
    (Cron("30 * * * *"), "at minute 30", "no minuto 30"),
    (Cron("0 0 L * *"), "at 00:00, on the last day of the month", "às 00:00, no último dia do mês"),
    (
        Cron("0 0 1,15 JAN-MAR *", timezone="UTC"),
        "at 00:00, on day 1, 15 of the month, in January to March (UTC)",
        "às 00:00, no dia 1, 15 do mês, em janeiro–março (UTC)",
    ),
    (
        Cron("0 9 * * MON#1,5L"),
        "at 09:00, on Monday number 1 of the month and the last Friday of the month",
        "às 09:00, segunda-feira pela 1ª vez no mês e sexta-feira pela última vez no mês",
    ),
    (
        Cron("0 9 13 * 5"),
        "at 09:00, on day 13 of the month or on Friday",
        "às 09:00, no dia 13 do mês ou sexta-feira",
    ),
]


@pytest.mark.parametrize(("rule", "english", "portuguese"), SAID, ids=lambda value: str(value)[:40])
def test_rule_is_said_in_words(rule, english, portuguese):
    with translation.override("en"):
        assert in_words(rule) == english
    with translation.override("pt-br"):
        assert in_words(rule).lower() == portuguese.lower()


@pytest.mark.parametrize("expression", ["*/7 */5 */2 */3 */2", "1-9/2 0-3,5 1-31/2,L 1,2-3/2 1-5/2", "* 0 * LW/2 * 7"])
def test_strange_expression_is_still_said(expression):
    assert in_words(Cron(expression))
