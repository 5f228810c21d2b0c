"""Ask Phoenix, with its own client, what it has of a conversation; printed as JSON."""

import json
import sys
import urllib.request

from phoenix.client import Client


def main() -> None:
    url, *rest = sys.argv[1:]
    conversation = rest[-1]
    client = Client(base_url=url)
    spans = client.spans.get_spans(
        project_identifier="default", attributes={"gen_ai.conversation.id": conversation}, limit=1000
    )
    if rest[0] == "--links":
        with urllib.request.urlopen(f"{url}/v1/projects/default/sessions?limit=100") as answer:  # noqa: S310
            sessions = json.load(answer)["data"]
        (mine,) = [one for one in sessions if one["session_id"] == conversation]
        trace = next(
            s["context"]["trace_id"]
            for s in spans
            if s["name"].startswith("chat ") or s["status_code"] == "ERROR"
        )
        with urllib.request.urlopen(f"{url}/v1/projects") as answer:  # noqa: S310
            project = next(p["id"] for p in json.load(answer)["data"] if p["name"] == "default")
        print(
            json.dumps(
                {
                    "session": f"/projects/{project}/sessions/{mine['id']}",
                    "sessions": f"/projects/{project}/sessions",
                    "trace": f"/projects/{project}/traces/{trace}",
                }
            )
        )
        return
    attributes = [span["attributes"] for span in spans]
    sends = [span for span in spans if span["name"].startswith("send ")]
    turns = client.sessions.get_session_turns(session_id=conversation)
    repairs = {a["agentcomm.repair.id"] for a in attributes if "agentcomm.repair.id" in a}
    print(
        json.dumps(
            {
                "conversation": conversation if len(turns) else None,
                "messages": len(sends),
                "rejected": sum(a.get("agentcomm.transition.outcome") == "rejected" for a in attributes),
                "repairs": len(repairs),
                "chats": sum(span["span_kind"] == "LLM" for span in spans),
                "turns": len(turns),
                "errors": sum(span["status_code"] == "ERROR" for span in spans),
            }
        )
    )


main()
