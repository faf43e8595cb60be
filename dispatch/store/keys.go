package store

import "regexp"

// key is one Redis key: its role in script headers, its name, its Redis type.
type key struct{ role, name, kind string }

// keys makes every key there is; the value is the prefix ("hero").
type keys string

func (k keys) at(role, tail, kind string) key {
	return key{role: role, name: string(k) + ":" + tail, kind: kind}
}

// Hero's own keys (research/hero.md 2.1).
func (k keys) job(id string) key     { return k.at("job", "job:"+id, "hash") }               // a record
func (k keys) queue(t string) key    { return k.at("queue", "q:work:type:"+t, "list") }      // bare ids, LPUSH, served from the right
func (k keys) reply(id string) key   { return k.at("reply", "q:reply:"+id, "list") }         // one element at the end of the job
func (k keys) actor(name string) key { return k.at("actor", "actor:"+name, "hash") }         // gate, incarnation, type, slots, seen_ms
func (k keys) wake(name string) key  { return k.at("wake", "wake:"+name, "list") }           // JSON messages, RPUSH, BLPOP by the actor
func (k keys) held(inc string) key   { return k.at("held", "held:"+inc, "list") }            // ids in hand, oldest left
func (k keys) idle(t string) key     { return k.at("idle", "idle:"+t, "zset") }              // "<actor> <incarnation>" of who has a free slot, by ms since when
func (k keys) lease(t string) key    { return k.at("lease", "lease:"+t, "zset") }            // incarnation by ms of its last sign of life; what is in flight is in their held lists
func (k keys) delayed(t string) key  { return k.at("delayed", "delayed:"+t, "zset") }        // id by ms when due
func (k keys) prio(t string) key     { return k.at("prio", "prio:"+t, "zset") }              // "<order> <id>" by ms when ready less the head start of its level
func (k keys) startby(t string) key  { return k.at("startby", "startby:"+t, "zset") }        // id by ms it must have begun by
func (k keys) need(id string) key    { return k.at("need", "need:"+id, "hash") }             // prerequisite -> rule: what the job waits for still
func (k keys) unlocks(id string) key { return k.at("unlocks", "unlocks:"+id, "zset") }       // "<order> <id>" of who waits for it; score 1: it holds
func (k keys) dead() key             { return k.at("dead", "dead", "zset") }                 // id by ms of death, capped
func (k keys) ended() key            { return k.at("ended", "ended", "list") }               // "sequence id outcome", RPUSH, until settled
func (k keys) done() key             { return k.at("done", "done", "list") }                 // "sequence id" of ended and settled jobs, RPUSH, capped
func (k keys) results() key          { return k.at("results", "results", "zset") }           // "<sequence> <id>" by ms when the result goes, if before its record
func (k keys) alone(t string) key    { return k.at("alone", "alone:"+t, "list") }            // ids that run in a hand that has nothing else (scripts/lib/alone.lua)
func (k keys) clearing(t string) key { return k.at("clearing", "clearing:"+t, "string") }    // "<actor> <incarnation>" of who takes no more until its hand is empty, for those
func (k keys) facts() key            { return k.at("facts", "facts", "stream") }             // for the bus, capped
func (k keys) incarnations() key     { return k.at("incarnations", "incarnations", "hash") } // incarnation -> "actor type[ type:weight ...][ @host]"
func (k keys) groups() key           { return k.at("groups", "groups", "hash") }             // "<incarnation> <job>" -> "<pgid> <start> <attempt>"
func (k keys) stale() key            { return k.at("stale", "stale", "hash") }               // how many stale ends were told in which second, and how many were not
func (k keys) staled() key           { return k.at("staled", "staled", "zset") }             // "<epoch> <incarnation> <attempt> <status> <id>" of the last thousand of them, by ms
func (k keys) types() key            { return k.at("types", "types", "set") }                // job types seen
func (k keys) epoch() key            { return k.at("epoch", "epoch", "string") }             // decimal
func (k keys) asserted() key         { return k.at("asserted", "asserted", "hash") }         // "<epoch> <incarnation>" -> jobs it kept over a rebuild, and the same with " done"; for a minute
func (k keys) position() key         { return k.at("position", "position", "string") }       // last log sequence accepted, decimal
func (k keys) vouched() key          { return k.at("vouched", "vouched", "string") }         // run id of the server process that the daemon looked at
func (k keys) owner() key            { return k.at("owner", "owner", "string") }             // "<state id> <until ms>"
func (k keys) script(version string) key {
	return k.at("script", "script:"+version, "hash") // script name -> source
}

// fixed are the keys that there is one of, by role: a script may name them in its text (FIXED).
func (k keys) fixed() map[string]key {
	all := map[string]key{}
	for _, one := range []key{k.dead(), k.ended(), k.facts(), k.incarnations(), k.groups(), k.stale(), k.staled(), k.types(), k.epoch(), k.position(), k.owner()} {
		all[one.role] = one
	}
	return all
}

// token is what may become part of a key: it is also a subject token, and has no space, which
// the values with several parts are split at.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
