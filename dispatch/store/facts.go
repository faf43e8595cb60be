package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Fact is one entry of the facts stream.
type Fact struct {
	ID          string // the stream's; ordered, de-duplicates
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
	Outcome     Status        // ended, dead, cancelled
	Reason      string        // ended, dead, cancelled, retried
	ExitCode    string        // ended
	Crashes     int           // retried, dead
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

// ReadFacts returns facts after an id, at most 1000, blocking up to block for the first.
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
	read := p.XRead(ctx, &redis.XReadArgs{Streams: []string{k.name, after}, Count: pageMax, Block: -1})
	mark := p.XRangeN(ctx, k.name, after, after, 1) // behind the read: see above
	_, err := p.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		return FactBatch{Last: after}, s.fault(ctx, err, []key{k})
	}
	b := FactBatch{Last: after, Lost: after != noFact && len(mark.Val()) == 0}
	for _, st := range read.Val() {
		for _, m := range st.Messages {
			b.Facts = append(b.Facts, readFact(m))
			b.Last = m.ID
		}
	}
	if b.Lost && len(b.Facts) == 0 {
		b.Last = noFact // flushed: begin anew, or every read would say so again
	}
	return b, nil
}

func readFact(m redis.XMessage) Fact {
	get := func(name string) string { v, _ := m.Values[name].(string); return v }
	ms, _, _ := strings.Cut(m.ID, "-")
	at, _ := strconv.ParseInt(ms, 10, 64)
	jobType, sequence, _ := strings.Cut(get("of"), " ")
	by := strings.SplitN(get("by")+"  ", " ", 4) // actor, incarnation, attempt, each perhaps empty
	f := Fact{
		ID: m.ID, At: time.UnixMilli(at).UTC(), Kind: FactKind(get("kind")),
		Job: get("job"), Type: jobType, Actor: by[0], Incarnation: by[1],
		Attempt: laxInt(by[2]), Sequence: laxUint(sequence), Timeout: laxSeconds(get("timeout")),
		Outcome: Status(get("outcome")), Reason: get("reason"),
		ExitCode: get("exit_code"), Crashes: laxInt(get("crashes")), Nonce: get("nonce"),
	}
	if since := msTime(get("since")); !since.IsZero() { // started: it became ready; an end: it was started
		span := max(0, f.At.Sub(since))
		if f.Kind == FactStarted {
			f.Wait = span
		} else {
			f.Run = span
		}
	}
	return f
}
