"""An answer that is sent while it is made has the rows of its reader, too."""

from __future__ import annotations

import io

from django.contrib.auth.models import User
from django.http import FileResponse, StreamingHttpResponse
from django.test import RequestFactory

from licensehub.site.middleware.profiles import ProfilesMiddleware
from subscriptions.models import Subscription
from tests.support.people.organization import Organization, limited_to


def test_rows_that_are_read_while_the_answer_is_sent_are_those_of_the_reader(
    organization: Organization, us: Organization, carol: User
):
    """Control: without `each_seen_by`, each of these counts has the people of all profiles."""

    def sent_to(user: User) -> list[bytes]:
        request = RequestFactory().get("/")
        request.user = user
        answer = ProfilesMiddleware(
            lambda _: StreamingHttpResponse(f"{Subscription.objects.count()} " for _part in range(2))
        )(request)
        assert isinstance(answer, StreamingHttpResponse)
        return list(answer)

    assert sent_to(carol) == [b"17 "] * 2
    reader = limited_to(carol, us.profile)
    assert sent_to(reader) == [b"5 "] * 2
    assert Subscription.objects.count() == 17
    # A file has nothing to read, and is sent as fast as the server can.
    request, file = RequestFactory().get("/"), io.BytesIO(b"x")
    request.user = reader
    answer = ProfilesMiddleware(lambda _: FileResponse(file))(request)
    assert isinstance(answer, FileResponse) and answer.file_to_stream is file
