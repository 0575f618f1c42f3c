"""One battery for all adapters: adapter x capability x fault, over real HTTP, against the sandbox's faces.

What it shows of each: the named error; that what costs is sent once; that nothing waits longer than it should; that
our key stands in no message; and, through the product's own worker and chains (`test_money`), that the call is in the
books with its cost, that users pay for exactly what they were given, and that nothing stays held.

A new adapter joins by one entry in `adapters.py` (a test fails until it is there):

1. Its name, the form of its keys, and which of its calls is the one that costs (`submit`), which asks how a job stands
   (`status`), as regular expressions on "METHOD /path" below its base URL.
2. What to ask for each capability that the registry says it `makes`: the model, and `wire` data if it wants any.
3. Where its wire differs from `Fault.usual`: the outcome it must have instead (`differs`), or why the fault cannot
   happen there (`cannot`). Keys are a fault's name, or "fault/capability" for one capability alone.
4. Where its sandbox face knows a fault by other words, those (`words`).

Then `python -m tests.battery` writes the table in docs/providers.md anew, and another test holds it to that.
Most faults need nothing of the face: `line.py` stands between adapter and sandbox and spoils the wire itself.
"""
