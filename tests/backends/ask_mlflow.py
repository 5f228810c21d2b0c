"""Ask MLflow, with its own client, what it has of a conversation; printed as JSON."""

import json
import sys

import mlflow


def main() -> None:
    url, conversation = sys.argv[1:]
    mlflow.set_tracking_uri(url)
    traces = mlflow.search_traces(
        locations=["0"],
        return_type="list",
        order_by=["timestamp ASC"],
        filter_string=f"metadata.`mlflow.trace.session` = '{conversation}'",
        max_results=500,
    )
    spans = [span for trace in traces for span in trace.data.spans]
    repairs = {span.attributes.get("agentcomm.repair.id") for span in spans} - {None}
    print(
        json.dumps(
            {
                "conversation": conversation if traces else None,
                "messages": sum(span.name.startswith("send ") for span in spans),
                "rejected": sum(
                    span.attributes.get("agentcomm.transition.outcome") == "rejected" for span in spans
                ),
                "repairs": len(repairs),
                "chats": sum(span.name.startswith("chat ") for span in spans),
                "tokens": [
                    sum(span.attributes.get(f"gen_ai.usage.{way}_tokens") or 0 for span in spans)
                    for way in ("input", "output")
                ],
                "turns": sum(trace.data.spans[0].name.startswith("invoke_agent") for trace in traces),
                "errors": sum("ERROR" in str(span.status.status_code) for span in spans),
            }
        )
    )


main()
