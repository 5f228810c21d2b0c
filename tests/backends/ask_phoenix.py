"""Ask Phoenix, over its REST interface, what it has of a conversation; printed as JSON."""

import json
import sys
import urllib.parse
import urllib.request
from typing import Any


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def main() -> None:
    url, *rest = sys.argv[1:]
    conversation = rest[-1]
    wanted = urllib.parse.quote(f"gen_ai.conversation.id:{conversation}")
    spans = get(f"{url}/v1/projects/default/spans?limit=1000&attribute={wanted}")["data"]
    sessions = get(f"{url}/v1/projects/default/sessions?limit=1000")["data"]
    (mine,) = [one for one in sessions if one["session_id"] == conversation] or [None]
    if rest[0] == "--links":
        project = mine["project_id"]
        trace = next(s["context"]["trace_id"] for s in spans if s["status_code"] == "ERROR")
        base = f"/projects/{project}"
        print(
            json.dumps(
                {
                    "session": f"{base}/sessions/{mine['id']}",
                    "sessions": f"{base}/sessions",
                    "trace": f"{base}/traces/{trace}",
                }
            )
        )
        return
    attributes = [span["attributes"] for span in spans]
    repairs = {a["agentcomm.repair.id"] for a in attributes if "agentcomm.repair.id" in a}
    traces = {trace["trace_id"] for trace in mine["traces"]} if mine else set()
    turns = [s for s in spans if s["name"].startswith("invoke_agent") and s["context"]["trace_id"] in traces]
    print(
        json.dumps(
            {
                "conversation": conversation if mine else None,
                "messages": sum(span["name"].startswith("send ") for span in spans),
                "rejected": sum(a.get("agentcomm.transition.outcome") == "rejected" for a in attributes),
                "repairs": len(repairs),
                "chats": sum(span["span_kind"] == "LLM" for span in spans),
                "tokens": [
                    sum(a.get(f"llm.token_count.{way}") or 0 for a in attributes)
                    for way in ("prompt", "completion")
                ],
                "turns": len(turns),
                "errors": sum(span["status_code"] == "ERROR" for span in spans),
                "shown": sum("output.value" in turn["attributes"] for turn in turns),
            }
        )
    )


main()
