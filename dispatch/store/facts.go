package store

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Fact is one line of an entry of the facts stream.
type Fact struct {
	ID          string // the stream's and the place in its entry, "<ms>-<n>-<place>"; ordered, de-duplicates
	At          time.Time
	Kind        FactKind
	Job         string // of a foreign push this may be no token: check it before it becomes a subject
	Type        string
	Actor       string
	Incarnation string
	Attempt     int
	Sequence    uint64        // the job's; 0: in no log
	Timeout     time.Duration // started
	Wait        time.Duration // started: since it became ready
	Run         time.Duration // ended, dead: since started
	Outcome     Status        // ended, dead, cancelled; stale: what would have been
	Reason      string        // ended, dead, cancelled, retried, stale
	Cause       string        // dead: how its last attempt ended
	How         string        // retried: AttemptCrashed, AttemptInterrupted, AttemptSuspected, or "" for a script that failed
	Alone       bool          // started: its actor takes nothing beside it
	Failed      bool          // retried, dead: its script failed, its actor lives
	Retries     int           // retried: used so far
	Next        time.Time     // retried: ready again then; zero: at once
	ExitCode    string        // ended
	Untold      int           // stale: how many before it were counted only
	Crashes     int           // retried, dead
	Ready       int           // released: how many wait, this one included
	Due         time.Time     // released: not before; zero: now
	Nonce       string        // pong
}

// FactKind is what a fact says.
type FactKind string

// The kinds. A job that ends writes exactly one of ended, dead, cancelled.
const (
	FactHello     FactKind = "hello"
	FactStarted   FactKind = "started"
	FactEnded     FactKind = "ended"
	FactRetried   FactKind = "retried"
	FactDead      FactKind = "dead"
	FactCancelled FactKind = "cancelled"
	FactDrained   FactKind = "drained"
	FactPong      FactKind = "pong"
	FactReleased  FactKind = "released" // what the job waited for has ended: it is ready, or due
	FactMore      FactKind = "more"     // more jobs wait for one that ended than its script may look at: promote goes on
	FactRemoved   FactKind = "removed"
	FactStale     FactKind = "stale" // an end that counted for nothing: told 20 times a second at most
)

// FactBatch is what ReadFacts returns.
type FactBatch struct {
	Facts []Fact // oldest first; empty: the time was up
	Last  string // pass it as after
	Lost  bool   // entries between after and the first may have been trimmed or flushed: resynchronise
}

// noFact is the id before every other.
const noFact = "0-0"

// LastFact is the id of the newest fact, "0-0" for none: where a reader begins after
// it has read the state itself.
func (s *Store) LastFact(ctx context.Context) (string, error) {
	k := s.keys.facts()
	last, err := s.rdb.XRevRangeN(ctx, k.name, "+", "-", 1).Result()
	if err != nil {
		return "", s.fault(ctx, err, []key{k})
	}
	if len(last) == 0 {
		return noFact, nil
	}
	return last[0].ID, nil
}

// ReadFacts returns facts after an entry's id, of at most factsPage entries, blocking up to block for the first.
func (s *Store) ReadFacts(ctx context.Context, after string, block time.Duration) (FactBatch, error) {
	b, err := s.readFacts(ctx, after)
	if err != nil || len(b.Facts) > 0 || b.Lost || block <= 0 {
		return b, err
	}
	k := s.keys.facts()
	err = s.blocking(ctx, func(ctx context.Context, c *redis.Client) error {
		return c.XRead(ctx, &redis.XReadArgs{
			Streams: []string{k.name, after}, Count: 1, Block: max(block, time.Millisecond),
		}).Err()
	})
	if errors.Is(err, redis.Nil) {
		return b, nil
	}
	if err != nil {
		return b, s.fault(ctx, err, []key{k})
	}
	// Read again with the check for a gap: the woken read alone could not tell.
	return s.readFacts(ctx, after)
}

// readFacts reads at once. The stream is trimmed from its old end, so if the entry "after" is still there when
// those behind it have been read, none of them can be missing. No transaction: a full Redis refuses every command
// of one, also those that only read.
func (s *Store) readFacts(ctx context.Context, after string) (FactBatch, error) {
	k := s.keys.facts()
	p := s.rdb.Pipeline()
	read := p.XRead(ctx, &redis.XReadArgs{Streams: []string{k.name, after}, Count: factsPage, Block: -1})
	mark := p.XRangeN(ctx, k.name, after, after, 1) // behind the read: see above
	_, err := p.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		return FactBatch{Last: after}, s.fault(ctx, err, []key{k})
	}
	b := FactBatch{Last: after, Lost: after != noFact && len(mark.Val()) == 0}
	for _, st := range read.Val() {
		for _, m := range st.Messages {
			b.Facts = append(b.Facts, readEntry(m)...)
			b.Last = m.ID
		}
	}
	if b.Lost && len(b.Facts) == 0 { // flushed, or an old copy, of which all was read: begin at its end, or every read would say so again
		last, err := s.LastFact(ctx)
		if err != nil {
			return b, err
		}
		if older(last, after) {
			b.Last = last
		}
	}
	return b, nil
}

// older compares two ids of the stream.
func older(a, b string) bool {
	aMS, aN, _ := strings.Cut(a, "-")
	bMS, bN, _ := strings.Cut(b, "-")
	return cmp.Or(cmp.Compare(laxUint(aMS), laxUint(bMS)), cmp.Compare(laxUint(aN), laxUint(bN))) < 0
}

// factsPage bounds the entries of one read; each holds at most 30 facts.
const factsPage = 250

// readEntry takes an entry apart (scripts/lib/fact.lua).
func readEntry(m redis.XMessage) []Fact {
	text, _ := m.Values["f"].(string)
	ms, _, _ := strings.Cut(m.ID, "-")
	at, _ := strconv.ParseInt(ms, 10, 64)
	who := Fact{At: time.UnixMilli(at).UTC()}
	var out []Fact
	for line := range strings.SplitSeq(text, "\n") {
		if by, ok := strings.CutPrefix(line, "@"); ok {
			f := strings.SplitN(by+"  ", " ", 4)
			who.Type, who.Actor, who.Incarnation = f[0], f[1], f[2]
			continue
		}
		f := who
		f.ID = m.ID + "-" + strconv.Itoa(len(out)+1)
		out = append(out, readFact(f, line))
	}
	return out
}

// readFact reads a line: "<kind> <job> <sequence> <attempt> [<name>=<value>]...".
func readFact(f Fact, line string) Fact {
	word := strings.Split(line, " ")
	for len(word) < 4 {
		word = append(word, "")
	}
	f.Kind, f.Job, f.Sequence, f.Attempt = FactKind(word[0]), plain(word[1]), laxUint(word[2]), laxInt(word[3])
	for _, pair := range word[4:] {
		name, value, _ := strings.Cut(pair, "=")
		value = plain(value)
		switch name {
		case "timeout":
			f.Timeout = laxSeconds(value)
		case "outcome":
			f.Outcome = Status(value)
		case "reason":
			f.Reason = value
		case "exit_code":
			f.ExitCode = value
		case "crashes":
			f.Crashes = laxInt(value)
		case "untold":
			f.Untold = laxInt(value)
		case "ready":
			f.Ready = laxInt(value)
		case "until":
			f.Due = msTime(value)
		case "cause":
			f.Cause = value
		case "alone":
			f.Alone = value == "1"
		case "how":
			f.How = value
		case "failed":
			f.Failed = value == "1"
		case "retries":
			f.Retries = laxInt(value)
		case "next":
			f.Next = msTime(value)
		case "nonce":
			f.Nonce = value
		case "since":
			f.since(msTime(value))
		}
	}
	return f
}

// since is when a started job became ready, and when an ended one was started.
func (f *Fact) since(t time.Time) {
	switch {
	case t.IsZero():
	case f.Kind == FactStarted:
		f.Wait = max(0, f.At.Sub(t))
	default:
		f.Run = max(0, f.At.Sub(t))
	}
}

// plain undoes what the scripts do to free text.
func plain(word string) string {
	if !strings.Contains(word, "%") {
		return word
	}
	text, err := url.PathUnescape(word)
	if err != nil {
		return word
	}
	return text
}
