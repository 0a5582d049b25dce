"""What a Python program does with Consul's usual client: register, discover, KV with CAS, a blocking
get. Prints "ok" at the end; any surprise raises."""

import sys
import threading
import time

import consul

host, run = sys.argv[1], sys.argv[2]
c = consul.Consul(host=host, port=8500)

assert c.status.leader() != ""

c.agent.service.register(
    "py-" + run, service_id="py-1", port=8080, tags=["v1"], address="10.9.8.6",
    check=consul.Check.ttl("30s"),
)
c.agent.check.ttl_pass("service:py-1")
for _ in range(100):
    _, entries = c.health.service("py-" + run, passing=True)
    if len(entries) == 1:
        break
    time.sleep(0.05)
assert entries[0]["Service"]["Port"] == 8080, entries
assert "py-1" in c.agent.services()

key = "py/" + run
assert c.kv.put(key, "one", flags=7)
index, pair = c.kv.get(key)
assert pair["Value"] == b"one" and pair["Flags"] == 7, pair
assert not c.kv.put(key, "x", cas=pair["ModifyIndex"] - 1)


def later():
    time.sleep(0.2)
    assert c.kv.put(key, "two", cas=pair["ModifyIndex"])


thread = threading.Thread(target=later)
thread.start()
began = time.monotonic()
_, pair2 = consul.Consul(host=host, port=8500).kv.get(key, index=index, wait="10s")
took = time.monotonic() - began
thread.join()
assert pair2["Value"] == b"two", pair2
assert 0.15 < took < 5, took

session = c.session.create(name="py", ttl=10)
assert c.kv.put(key + "/lock", "mine", acquire=session)
assert c.kv.put(key + "/lock", "mine", release=session)
c.session.destroy(session)

c.agent.service.deregister("py-1")
c.kv.delete("py/", recurse=True)
print("ok")
