"""What each reason means and what to do about it: the one home of these words, for the pages and the runbook.

The tables of reasons in ``docs/runbook.md`` hold these very words; a test compares them. Words between backticks are
code, those between asterisks are the name of a page, and there is no other markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from airflow_midjourney.describe.model.status import Reason


@dataclass(frozen=True, slots=True)
class Cure:
    """For the person who looks at rows of one reason.

    :param meaning: what happened.
    :param remedy: what to do.
    :param warning: what not to do; empty where nothing tempts.
    """

    meaning: str
    remedy: str
    warning: str = ""


CURES: Final[dict[Reason, Cure]] = {
    Reason.BANNED: Cure(
        meaning="Midjourney's filter does not take the image. Not billed when refused at once",
        remedy="Leave it",
        warning="Redescribe again and again: it can cost the account",
    ),
    Reason.REFUSED: Cure(
        meaning=(
            "The service, or a firewall before it (401, 403), does not take this image, for a reason that `detail`"
            " quotes"
        ),
        remedy=(
            "Read `detail`. Many in a row are not the images' fault and stop the run. A firewall that looks into"
            " bodies: ask its operator to leave `/mj/submit/describe` alone, then describe again"
        ),
    ),
    Reason.TIMEOUT: Cure(
        meaning=(
            "No answer in `task_timeout` from the start, or in three times that while the service shows the task"
            " running, or 75 minutes in the queue, counting only time in "
            "which the service answered. Tried again while attempts are left. For 24 hours a late answer "
            "still turns the row `succeeded`"
        ),
        remedy="Look at the service's queue; raise `task_timeout` if it is only slow",
        warning="Redescribe at once: the answer may be on its way and is paid for",
    ),
    Reason.LOST: Cure(
        meaning=(
            "The service has not known the task for ten minutes: it was restarted without its store, or two "
            "tasks got one id. Or a person gave up a doubtful image"
        ),
        remedy='Give novicezk a Redis store. Then describe again (page *Failures*, or `redescribe="failed"`)',
    ),
    Reason.SERVICE_ERROR: Cure(
        meaning=(
            "The service failed on the image: upload, captcha, the account behind it; or it takes others and "
            "turned this one away five times in a day; or it answered this one alone with errors for half an hour"
        ),
        remedy='Read `detail`; mend the service, then describe again (page *Failures*, or `redescribe="failed"`)',
    ),
    Reason.UNPARSEABLE: Cure(
        meaning=("The answer holds no prompts. It is kept in `prompt_raw`, and a later release may read it for free"),
        remedy="Report one with its `prompt_raw`",
        warning="Redescribe hoping for another answer: it is paid for",
    ),
    Reason.CORRUPT: Cure(
        meaning="Not a whole image",
        remedy="Upload it again",
    ),
    Reason.UNSUPPORTED_FORMAT: Cure(
        meaning=(
            "Not an image, a format that is not read (HEIC needs the extra `heif`), or a whole file of a rare kind,"
            " such as a JPEG of 12 bits"
        ),
        remedy="Save it anew as a plain PNG or JPEG, or install `airflow-provider-midjourney[heif]` on the workers",
    ),
    Reason.TOO_LARGE: Cure(
        meaning="Over 100 MB or 100 megapixels, or more than 400 MB or 5 s to decode",
        remedy="Make it smaller, or save it as a baseline JPEG",
    ),
    Reason.EMPTY: Cure(
        meaning="No bytes",
        remedy="Upload it again",
    ),
    Reason.MISSING: Cure(
        meaning="A key that was named has no object, or it was deleted after it was listed",
        remedy="Check `keys=`",
    ),
    Reason.REPLACED: Cure(
        meaning="The object was replaced before it was sent; the new version has its own row",
        remedy="Nothing",
    ),
    Reason.ARCHIVED: Cure(
        meaning="In Glacier or Deep Archive",
        remedy="Restore it; the next run takes it",
    ),
    Reason.DENIED: Cure(
        meaning=(
            "S3 denies or refuses this object, and gave others: a policy, a KMS key, SSE-C, or the server fails at it;"
            " `detail` quotes it. Many in a row, and none that can be read, stop the run"
        ),
        remedy="Grant what `detail` names, or store the object anew; the next run that lists it takes it",
    ),
    Reason.NOT_ALLOWED: Cure(
        meaning="Outside `allowed_uris` of the midjourney connection, or with a segment `.` or `..` in its key",
        remedy="Widen `allowed_uris`, or rename the object; the next run that lists it takes it",
    ),
    Reason.UNPROCESSABLE: Cure(
        meaning="Three workers died while they read it, or its key cannot be stored",
        remedy=("Look for tasks killed by memory at that time; look at the file before anybody opens it elsewhere"),
    ),
    Reason.ERASED: Cure(
        meaning=(
            "A person had the image erased; the same object, or the same bytes under another key, is not sent again by"
            " accident"
        ),
        remedy='Nothing; to describe it all the same, on purpose and for money: `redescribe="erased"`',
    ),
}

#: The same for doubtful rows, which have no reason.
IN_DOUBT: Final = Cure(
    meaning="The submission had no answer in time, so the image may have been taken and billed.",
    remedy=(
        "Look at the service's own pages or bill for the time of the submission. Then, with the DAG "
        "`midjourney_resolve`: `adopt` the service's task if there is one, `release` the image if there is none, or "
        "`fail` it."
    ),
    warning="Describe it again before that: if it was taken, it is paid for twice",
)


def cure_for(reason: Reason | None) -> Cure:
    """Give what to say about rows of a reason.

    :param reason: None for doubtful rows.
    """
    return IN_DOUBT if reason is None else CURES[reason]
