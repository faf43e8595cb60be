package store

import (
	"strings"
	"testing"
)

// Each script's header is the specification of its call: check compares every call with it at run
// time, which the contract suite then exercises. Here: that the headers are complete, and that a call
// that does not match is refused.
func TestHeaders(t *testing.T) {
	scripts, err := loadScripts(constants{prefix: "hero", keepS: 3600, done: 100, deadMost: 100, deadAge: 1000, retryBase: 1000, retryCap: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := sources.ReadDir("scripts/lib")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for name := range scripts {
		text, err := sources.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(text), "-- BOUND ")
		for _, want := range []string{"-- " + name + ": ", "-- KEYS ", "-- ARGV ", "-- USE ", "-- RETURNS "} {
			if !strings.Contains(head, want) {
				t.Errorf("%s.lua: its header has no %q", name, want)
			}
		}
		if body == "" {
			t.Errorf("%s.lua: its header has no bound", name)
		}
		_, rest, _ := strings.Cut(head, "-- USE ")
		line, _, _ := strings.Cut(rest, "\n")
		parts := strings.Fields(line)
		for _, p := range parts {
			used[p] = true
		}
		if first := name != "epoch" && name != "owner" && name != "forget"; first && (len(parts) == 0 || parts[0] != "epoch") {
			t.Errorf("%s.lua does not begin with the epoch's check", name)
		}
		// A key or argument that is named and not read is a wrong header.
		for _, k := range scripts[name].keys {
			if k == "job" {
				continue // read by way of job_key; it is in KEYS for Cluster and for the word WRONGTYPE
			}
			if strings.Count(scripts[name].source, "k_"+k) < 2 {
				t.Errorf("%s.lua names the key %s and does not use it", name, k)
			}
		}
		for _, a := range scripts[name].args {
			if strings.Count(scripts[name].source, "a_"+a) < 2 {
				t.Errorf("%s.lua names the argument %s and does not use it", name, a)
			}
		}
	}
	for _, e := range entries {
		text, err := sources.ReadFile("scripts/lib/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if uses, ok := strings.CutPrefix(string(text), "-- USE "); ok {
			line, _, _ := strings.Cut(uses, "\n")
			for _, p := range strings.Fields(line) {
				used[p] = true
			}
		}
	}
	for _, e := range entries {
		if !used[strings.TrimSuffix(e.Name(), ".lua")] {
			t.Errorf("lib/%s is used by no script", e.Name())
		}
	}
}

func TestCallMustMatchHeader(t *testing.T) {
	scripts, err := loadScripts(constants{prefix: "hero", keepS: 3600, done: 100, deadMost: 100, deadAge: 1000, retryBase: 1000, retryCap: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	k := keys("hero")
	right := []key{k.epoch(), k.job("j"), k.groups()}
	args := []any{"1", "i1", "j", "1", "42", "7"}
	for what, c := range map[string]struct {
		keys []key
		args []any
		ok   bool
	}{
		"right":            {right, args, true},
		"swapped keys":     {[]key{k.epoch(), k.groups(), k.job("j")}, args, false},
		"a key missing":    {right[:2], args, false},
		"a key more":       {append(right[:3:3], k.dead()), args, false},
		"an argument less": {right, args[1:], false},
		"an argument more": {right, append(args[:6:6], "x"), false},
	} {
		if err := scripts["group"].check(c.keys, c.args); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Every key has its own name, and all carry the prefix.
func TestKeys(t *testing.T) {
	k := keys("{x}")
	seen := map[string]string{}
	for _, key := range []key{
		k.job("a"), k.queue("a"), k.reply("a"), k.actor("a"), k.wake("a"), k.held("a"), k.idle("a"), k.lease("a"), k.delayed("a"),
		k.dead(), k.ended(), k.facts(), k.incarnations(), k.groups(), k.types(), k.epoch(), k.position(), k.owner(), k.asserted(), k.script("a"),
	} {
		if !strings.HasPrefix(key.name, "{x}:") {
			t.Errorf("%s has no prefix", key.name)
		}
		if was, twice := seen[key.name]; twice {
			t.Errorf("%s and %s are both %s", was, key.role, key.name)
		}
		seen[key.name] = key.role
	}
}
