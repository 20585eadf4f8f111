"""Errors of a study's storage, as users read them."""

from __future__ import annotations

import pytest

from study.errors import UnreachableError
from study.folders.study_folder import StudyFolder
from study.storage.backends import storage_errors


def test_error_of_an_object_store_keeps_its_reason() -> None:
    reason = (
        "When getting information for key 'tiny/spec.yaml' in bucket 'bucket': AWS Error "
        "ACCESS_DENIED during HeadObject operation: Access Denied"
    )
    with (
        pytest.raises(UnreachableError) as caught,
        storage_errors(StudyFolder("s3://bucket/tiny")),
    ):
        raise OSError(f"{reason}\n\nDebug source: of a developer")
    assert str(caught.value) == (
        f"s3://bucket/tiny cannot be used ({reason}): check the address, the credentials and that "
        "the bucket exists; nothing of a study there is lost"
    )


@pytest.mark.timeout(10)
def test_an_error_raised_from_itself_stays_as_it_is() -> None:
    error = RuntimeError("Ray raises such errors")
    with pytest.raises(RuntimeError) as caught, storage_errors(StudyFolder("tiny")):
        raise error from error
    assert caught.value is error
