"""A small protocol without a fault, and edits that put one in.

In an edit, «…» stands around what the finding underlines; the marks are taken out again before the document is read.
"""

SALE = """\
agentcomm: 1
protocol: sale
version: 1
roles: [buyer, seller]
types:
  Offer: {item: text, price: money}
acts:
  cfp:             {item: text, budget: money}
  propose:         {content: Offer, outlives: true}
  accept-proposal: {price: money}
  reject-proposal: {reason: text}
  refuse:          {reason: text}
grounding:
  propose: {readback: [price]}
  accept-proposal: {repeats: {price: propose.price}}
states:
  open:
    buyer: {cfp: asked}
  asked:
    seller: {propose: offered, refuse: closed}
  offered:
    buyer:
      accept-proposal: sold
      reject-proposal: closed
      cfp: {next: asked, max: 2}
outcomes:
  sold: success
  closed: refused
limits: {reply_within: 60s, repairs: 2}
"""


def edited(*edits: tuple[str, str]) -> str:
    """Return the sale with parts replaced; each must be there."""
    text = SALE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def unmarked(text: str) -> tuple[str, tuple[int, int, int] | None]:
    """Return a text without its marks, and line, column and length of what stood between them."""
    if "«" not in text:
        return text, None
    before, _, rest = text.partition("«")
    inside, _, after = rest.partition("»")
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return before + inside + after, (line, column, len(inside))
