// What a Go program does with Consul's own client: register, discover, KV with CAS, a blocking get,
// a lock. Prints "ok" at the end; any surprise is fatal.
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hashicorp/consul/api"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func check(ok bool, what string) {
	if !ok {
		log.Fatal("expected: " + what)
	}
}

func main() {
	client, err := api.NewClient(&api.Config{Address: os.Args[1]})
	must(err)
	run := os.Args[2]

	leader, err := client.Status().Leader()
	must(err)
	check(leader != "", "a leader")

	agent := client.Agent()
	must(agent.ServiceRegister(&api.AgentServiceRegistration{
		Name: "go-" + run, ID: "go-1", Port: 8080, Tags: []string{"v1"}, Address: "10.9.8.7",
		Check: &api.AgentServiceCheck{TTL: "30s"},
	}))
	must(agent.UpdateTTL("service:go-1", "fine", api.HealthPassing))
	found := false
	for i := 0; i < 100 && !found; i++ {
		entries, _, err := client.Health().Service("go-"+run, "v1", true, nil)
		must(err)
		found = len(entries) == 1 && entries[0].Service.Port == 8080
		if !found {
			time.Sleep(50 * time.Millisecond)
		}
	}
	check(found, "the registered service among the passing ones")
	services, err := agent.Services()
	must(err)
	check(services["go-1"] != nil, "the service on the agent")

	kv := client.KV()
	key := "go/" + run
	_, err = kv.Put(&api.KVPair{Key: key, Value: []byte("one"), Flags: 1<<63 + 1}, nil)
	must(err)
	pair, meta, err := kv.Get(key, nil)
	must(err)
	check(string(pair.Value) == "one" && pair.Flags == 1<<63+1, "the value and its 64-bit flags")
	check(meta.KnownLeader, "a known leader in the headers")
	ok, _, err := kv.CAS(&api.KVPair{Key: key, Value: []byte("x"), ModifyIndex: pair.ModifyIndex - 1}, nil)
	must(err)
	check(!ok, "a stale compare-and-set to fail")
	go func() {
		time.Sleep(200 * time.Millisecond)
		ok, _, err := kv.CAS(&api.KVPair{Key: key, Value: []byte("two"), ModifyIndex: pair.ModifyIndex}, nil)
		must(err)
		check(ok, "a current compare-and-set to succeed")
	}()
	began := time.Now()
	pair, _, err = kv.Get(key, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 10 * time.Second})
	must(err)
	took := time.Since(began)
	check(string(pair.Value) == "two", "the blocking get to see the write")
	check(took > 150*time.Millisecond && took < 5*time.Second, "it to return at the write, took "+took.String())

	lock, err := client.LockKey(key + "/lock")
	must(err)
	lost, err := lock.Lock(nil)
	must(err)
	check(lost != nil, "the lock")
	must(lock.Unlock())

	done, response, _, err := client.Txn().Txn(api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: key, Value: []byte("three")}},
		{KV: &api.KVTxnOp{Verb: api.KVGet, Key: key}},
	}, nil)
	must(err)
	check(done && len(response.Results) == 2, "a transaction")

	must(agent.ServiceDeregister("go-1"))
	_, err = kv.DeleteTree("go/", nil)
	must(err)
	fmt.Println("ok")
}
