"""The parameters of a call: each URL argument of AppRTC, and the types that its clients need."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rtcd.web.parameters import MAX_ARGUMENT_CHARS, Seat, Site, Usual, arguments, page, parameters, track

SITE = Site("https://h:8443", "wss://h:8443/ws", "https://h:8443/sig", "https://h:8443/v1alpha/iceconfig",
            allowed_ice=("https://ice.example",))
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36"
ANDROID = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36"


def found(user_agent: str = "", **args: str) -> dict[str, Any]:
    """Parameters for these arguments."""
    return parameters(args, SITE, user_agent)


class TypeTests(SynchronousTestCase):
    """What the three clients read, in the types in which they read it."""

    def test_a_join_answer_holds_every_key_in_its_type(self) -> None:
        """Strings stay strings: is_initiator, pc_config, is_loopback."""
        params = parameters({"it": "relay"}, SITE, "", "room-1", Seat("c", True, ('{"type":"offer"}',)))
        self.assertEqual(params["client_id"], "c")
        self.assertEqual(params["room_id"], "room-1")
        self.assertEqual(params["is_initiator"], "true")
        self.assertEqual(params["messages"], ['{"type":"offer"}'])
        self.assertEqual(params["wss_url"], "wss://h:8443/ws")
        self.assertEqual(params["wss_post_url"], "https://h:8443/sig")
        self.assertEqual(params["ice_server_url"], "https://h:8443/v1alpha/iceconfig?room=room-1&client=c")
        self.assertEqual(json.loads(params["pc_config"]), {
            "iceServers": [], "bundlePolicy": "max-bundle", "rtcpMuxPolicy": "require", "iceTransports": "relay"})
        self.assertEqual(params["room_link"], "https://h:8443/r/room-1?it=relay")
        for key in ("pc_config", "pc_constraints", "offer_options", "media_constraints", "version_info",
                    "is_loopback", "bypass_join_confirmation", "include_loopback_js", "ice_server_transports"):
            self.assertIsInstance(params[key], str, key)
        self.assertEqual((params["error_messages"], params["warning_messages"]), ([], []))
        self.assertIsNone(params["header_message"])
        for text in ("pc_config", "pc_constraints", "offer_options", "media_constraints", "version_info"):
            json.loads(params[text])

    def test_params_without_a_room_have_no_room_keys(self) -> None:
        """GET /params."""
        self.assertFalse({"room_id", "room_link", "client_id", "is_initiator", "messages"} & found().keys())

    def test_the_usual_answer_is_what_it_would_be_if_all_of_it_were_made_for_each(self) -> None:
        """Byte for byte: whatever the settings hold, whose ICE it is, and what waits for who comes second."""
        sites = [SITE, replace(SITE, ice_url=""), replace(SITE, own_ice=False), replace(SITE, ice_url="https://h/i?k=1&l"),
                 replace(SITE, base='https://h/"ä', prefix='/"ä', bypass_join_confirmation=True),
                 replace(SITE, header_message='"}}, "ice_server_transports": "ä\\'),
                 replace(SITE, wss_url="wss://h/}}", ice_url='https://h/", "ice_server_transports": "')]
        seats = [Seat("c-1_x", True, ()), Seat("c", False, ('{"type":"offer"}', '"}}\n\ud800ä'))]
        for site in sites:
            for agent in ("", CHROME, ANDROID):
                usual = Usual(site, agent)
                for room, seat in ((room, seat) for room in ("r", "0-_Z" * 200) for seat in seats):
                    wanted = {"result": "SUCCESS", "params": parameters({}, site, agent, room, seat)}
                    self.assertEqual(usual.joined(room, seat), json.dumps(wanted).encode())

    def test_the_page_reads_objects_and_booleans(self) -> None:
        """The bootstrap of the page: the same facts, other types."""
        facts = page(parameters({"debug": "loopback"}, SITE, "", "room-1"))
        self.assertIs(facts["isLoopback"], True)
        self.assertEqual(facts["peerConnectionConfig"]["bundlePolicy"], "max-bundle")
        self.assertEqual((facts["roomId"], facts["roomLink"]), ("room-1", "https://h:8443/r/room-1?debug=loopback"))
        self.assertNotIn("roomId", page(found()))


class MediaTests(SynchronousTestCase):
    """audio, video, hd, minre, maxre, firefox_fake_device."""

    def media(self, user_agent: str = "", **args: str) -> Any:
        """The media constraints for these arguments."""
        return json.loads(found(user_agent, **args)["media_constraints"])

    def test_tracks_are_on_off_or_constrained(self) -> None:
        """Values stay strings, a malformed item is ignored, goog keys are optional by default."""
        for text, expected in (
            ("", True), ("true", True), ("TRUE", True), ("false", False), ("False", False),
            ("minWidth=640", {"mandatory": {"minWidth": "640"}, "optional": []}),
            ("mandatory:minWidth=640,optional:maxHeight=480",
             {"mandatory": {"minWidth": "640"}, "optional": [{"maxHeight": "480"}]}),
            ("googEchoCancellation=false", {"mandatory": {}, "optional": [{"googEchoCancellation": "false"}]}),
            ("mandatory:googNoise=true", {"mandatory": {"googNoise": "true"}, "optional": []}),
            ("nonsense,other:a=1,=2,minWidth=1", {"mandatory": {"minWidth": "1"}, "optional": []}),
        ):
            self.assertEqual(track(text), expected, text)

    def test_hd_asks_for_720p(self) -> None:
        """true: mandatory; desktop Chrome without hd and video: optional; another value: nothing."""
        size = {"minWidth": "1280", "minHeight": "720"}
        self.assertEqual(self.media(hd="true")["video"], {"mandatory": size, "optional": []})
        self.assertEqual(self.media(CHROME)["video"]["optional"], [{"minWidth": "1280"}, {"minHeight": "720"}])
        self.assertIs(self.media(ANDROID)["video"], True)
        self.assertIs(self.media(CHROME, hd="false")["video"], True)
        self.assertEqual(self.media(CHROME, video="minWidth=1")["video"]["mandatory"], {"minWidth": "1"})

    def test_hd_wins_over_video_with_one_warning(self) -> None:
        """The person is told."""
        params = found(hd="true", video="minWidth=1")
        self.assertEqual(json.loads(params["media_constraints"])["video"]["mandatory"]["minWidth"], "1280")
        self.assertEqual(len(params["warning_messages"]), 1)

    def test_old_resolution_arguments_give_one_warning(self) -> None:
        """It points to video."""
        (warning,) = found(minre="1", maxre="2")["warning_messages"]
        self.assertIn("video", warning)

    def test_a_fake_device_may_be_asked_for(self) -> None:
        """Any value."""
        self.assertIs(self.media(firefox_fake_device="")["fake"], True)
        self.assertNotIn("fake", self.media())


class ConnectionTests(SynchronousTestCase):
    """it, tt, dtls, dscp, ipv6, debug."""

    def test_switches_become_optional_constraints(self) -> None:
        """true or false in any case; anything else is no constraint."""
        params = found(dtls="TRUE", dscp="false", ipv6="maybe")
        self.assertEqual(json.loads(params["pc_constraints"]), {
            "optional": [{"DtlsSrtpKeyAgreement": True}, {"googDscp": False}]})

    def test_loopback_turns_dtls_off(self) -> None:
        """And says so to the client."""
        params = found(debug="loopback", dtls="true")
        self.assertEqual(json.loads(params["pc_constraints"])["optional"], [{"DtlsSrtpKeyAgreement": False}])
        self.assertEqual(params["is_loopback"], "true")
        self.assertEqual(found(debug="other")["is_loopback"], "false")

    def test_transports_are_passed_on(self) -> None:
        """tt as it is; no iceTransports without it."""
        self.assertEqual(found(tt="tcp")["ice_server_transports"], "tcp")
        self.assertNotIn("iceTransports", json.loads(found()["pc_config"]))

    def test_ice_servers_are_never_in_pc_config(self) -> None:
        """A list there ends the call of an Android client."""
        self.assertEqual(json.loads(found(ts="https://ice.example")["pc_config"])["iceServers"], [])


class ServerChoiceTests(SynchronousTestCase):
    """wshpp, wstls, ts, apikey: a link may not choose servers for the person who clicks it."""

    def test_a_link_cannot_choose_the_signalling_server(self) -> None:
        """wshpp would make the server post to any host, and a victim's browser trust any other; there is a warning."""
        params = found(wshpp="evil:443", wstls="false")
        self.assertEqual((params["wss_url"], params["wss_post_url"]), ("wss://h:8443/ws", "https://h:8443/sig"))
        self.assertEqual(len(params["warning_messages"]), 1)

    def test_our_own_server_is_never_offered_without_tls(self) -> None:
        """ws:// on an https page is blocked."""
        self.assertEqual(found(wstls="false")["wss_url"], "wss://h:8443/ws")

    def test_a_foreign_ice_provider_is_ignored_unless_allowed(self) -> None:
        """An empty one means no look-up."""
        self.assertEqual(found(ts="")["ice_server_url"], "")
        self.assertEqual(found(ts="https://evil")["ice_server_url"], SITE.ice_url)
        self.assertEqual(len(found(ts="https://evil")["warning_messages"]), 1)
        self.assertEqual(found(ts="https://ice.example/")["ice_server_url"], "https://ice.example/v1alpha/iceconfig")

    def test_an_api_key_is_quoted_into_the_url(self) -> None:
        """It cannot leave its place."""
        self.assertEqual(found(apikey="a&b=<")["ice_server_url"], SITE.ice_url + "?key=a%26b%3D%3C")
        elsewhere = replace(SITE, ice_url="https://ice.example/x?y=1")
        self.assertEqual(parameters({"apikey": "k"}, elsewhere)["ice_server_url"], "https://ice.example/x?y=1&key=k")


class ArgumentTests(SynchronousTestCase):
    """Reading the query."""

    def test_the_first_of_a_repeated_argument_counts(self) -> None:
        """And what is not UTF-8 or too long is left out."""
        self.assertEqual(arguments({b"a": [b"1", b"2"], b"b": [b"\xff"], b"c": [b"x" * MAX_ARGUMENT_CHARS]}), {"a": "1"})

    def test_a_room_link_quotes_what_it_carries(self) -> None:
        """No argument can break out of it."""
        params = parameters({"a": '"><script>'}, SITE, "", "room")
        self.assertEqual(params["room_link"], "https://h:8443/r/room?a=%22%3E%3Cscript%3E")

    def test_only_our_own_ice_servers_are_told_who_asks(self) -> None:
        """Who knows a client's name is that client, so no other site is given it; a page without a seat names none."""
        seat = Seat("c", True, ())

        def url(site: Site = SITE, **args: str) -> str:
            return str(parameters(args, site, "", "r", seat)["ice_server_url"])

        own = "https://h:8443/v1alpha/iceconfig"
        self.assertEqual(url(apikey="a&b"), own + "?key=a%26b&room=r&client=c")
        self.assertEqual(url(ts=""), "")
        self.assertEqual(url(ts="https://ice.example"), "https://ice.example/v1alpha/iceconfig")
        self.assertEqual(url(ts="https://evil"), own + "?room=r&client=c")
        elsewhere = Site("https://h:8443", "", "", "https://ice.example/x", own_ice=False)
        self.assertEqual(url(elsewhere), "https://ice.example/x")
        self.assertEqual(url(Site("https://h:8443", "", "", "")), "")
        self.assertEqual(parameters({}, SITE, "", "r")["ice_server_url"], own)
