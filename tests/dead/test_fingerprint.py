"""What two failures must have in common to be of one cause."""

import time

import pytest

from jobs.fingerprint import CAUSE, cause_of, without_values

TRACE = """Traceback (most recent call last):
  File "/srv/releases/{release}/leads/tasks.py", line {line}, in sync_to_crm
    return send(lead)
           ^^^^^^^^^^
  File "/srv/releases/{release}/leads/crm/client.py", line 7, in send
    response = post(url)
  File "/usr/lib/python3.{python}/urllib/request.py", line {line}, in urlopen
    raise error
ConnectionError: {text}
"""


def of(text="refused", task="leads.sync_to_crm", kind="ConnectionError", trace=None, **values):
    filled = {"release": "1", "line": 20, "python": 11, "text": text, **values}
    return cause_of(task, f"{kind}: {text}", TRACE.format(**filled) if trace is None else trace)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lead 17 is gone", "lead 4711 is gone"),
        ("lead 0198c5f2-1111-7222-8333-abcdefabcdef is gone", "lead 0198c5f2-9999-7222-8333-000000000000 is gone"),
        ("<Lead object at 0x7f3a2c> refused", "<Lead object at 0x55d0aa> refused"),
        ("no key 'name' in row", "no key 'phone number' in row"),
        ('no key "name" in row', 'no key "it\'s" in row'),
        ("ada@example.org bounced", "grace@example.com bounced"),
        ("no answer from https://crm.example.org/a?b=c", "no answer from http://other/x"),
        ("rows 1, 2, 3 are locked", "rows 5 are locked"),
        ("too   many\nspaces", "too many spaces"),
        ("code DEADBEEF seen", "code cafebabe seen"),
        ("a\0b 7", "a\\0b 8"),
    ],
)
def test_values_do_not_make_another_cause(one, other):
    assert of(one) == of(other)


def test_another_word_task_kind_or_place_is_another_cause():
    others = [
        of(),
        of("timed out"),
        of(task="leads.other"),
        of(kind="OSError"),
        of(trace=""),
        of(trace=TRACE.format(release=1, line=2, python=11, text="x").replace("in send", "in receive")),
    ]
    assert len(set(others)) == len(others)


@pytest.mark.parametrize("values", [{"release": "2026.11.2"}, {"line": 900}, {"python": 14}])
def test_a_release_a_shifted_line_and_another_python_leave_the_cause_as_it_is(values):
    assert of(**values) == of()


def test_a_comprehension_has_no_frame_of_its_own():
    # Python 3.12 and later inline it
    frame = '  File "/srv/releases/1/leads/crm/client.py", line 8, in <listcomp>\n    [post(url) for url in urls]\n'
    with_frame = TRACE.format(release=1, line=20, python=11, text="refused")
    at = with_frame.index('  File "/usr/lib')
    assert of(trace=with_frame[:at] + frame + with_frame[at:]) == of()


def test_what_an_error_was_raised_from_does_not_count_but_the_last_one_does():
    first = 'Traceback (most recent call last):\n  File "/x/y/z.py", line 1, in other\nKeyError: 1\n'
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    assert of(trace=first + link + TRACE.format(release=1, line=20, python=11, text="refused")) == of()


def test_the_engines_own_frames_do_not_count():
    inside = '  File "/srv/app/jobs/define/task.py", line 9, in enqueue\n    raise InvalidArguments\n'
    trace = TRACE.format(release=1, line=20, python=11, text="refused")
    at = trace.index("ConnectionError:")
    assert of(trace=trace[:at] + inside + trace[at:]) == of()


def test_what_leaves_the_site_holds_no_value():
    text = without_values(
        "Refused: ada@example.org with token 'abc' (4 of 5) at https://x.example/y, +55 11 99999-0000"
    )
    assert text == "Refused: # with token # of # at #"


@pytest.mark.parametrize(
    "error", ["", "x", "Kind", "Kind: ", "\ud800", "a\0b", "'" * 9, "killed its worker: lost 5 times"]
)
def test_any_text_has_a_cause(error):
    assert CAUSE.match(cause_of("task", error, error))
    without_values(error)


@pytest.mark.parametrize("piece", ["a", "'", '"x', "# ", "1", " |+\t", "@", 'File "', "\n", "a.b-", "«"])
def test_a_megabyte_of_anything_is_looked_at_in_no_time(piece):
    text = piece * (1_000_000 // len(piece))
    began = time.thread_time()
    cause_of("task", f"Kind: {text}", text)
    assert time.thread_time() - began < 1
