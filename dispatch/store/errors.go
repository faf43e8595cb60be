package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrAway says that Redis could not be reached or did not answer in time.
	// The call may have been executed: repeat it, every call here is repeatable.
	ErrAway = errors.New("redis is away")

	// ErrNoEpoch says that Redis carries no epoch or another one than the caller: it was
	// restarted empty, flushed, or belongs to a later rebuild. Nothing was written. An
	// actor keeps its result, waits and says hello again; the daemon raises the epoch.
	ErrNoEpoch = errors.New("redis carries another epoch or none")

	// ErrNoJob says that there is no record of that id.
	ErrNoJob = errors.New("no such job")
)

// RefusedError is Redis saying no: repeating does not help until somebody acts.
type RefusedError struct {
	Kind string // first word of Redis' text: NOAUTH, WRONGPASS, OOM, MISCONF, READONLY, WRONGTYPE, ERR ...
	Text string // Redis' text, first line
	Key  string // with WRONGTYPE: the key of another type, if it could be told
	Hint string // what to do; "" if unknown
}

func (e *RefusedError) Error() string {
	s := "redis refuses: " + e.Text
	if e.Key != "" {
		s += fmt.Sprintf(" (key %s)", e.Key)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// hints says what helps against a refusal.
var hints = map[string]string{
	"NOAUTH":     "give the password (redis.url or its environment variable)",
	"WRONGPASS":  "the user or password is wrong",
	"NOPERM":     "the Redis user needs more rights: all commands on the keys of the prefix",
	"OOM":        "Redis is at its maxmemory: raise it, or let jobs end",
	"MISCONF":    "Redis can not write its disk: see its log",
	"READONLY":   "this is a replica: give the primary's address, or that of its Sentinels (?master_name=NAME)",
	"NOREPLICAS": "Redis waits for its replicas (min-replicas-to-write)",
	"WRONGTYPE":  "another program uses this key: move it, or set another redis.prefix",
}

// passing are answers of a server that is not ready yet or busy: as good as away.
var passing = []string{
	"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ", "ERR max number of clients", "UNBLOCKED", "MOVED ", "ASK ",
}

// unready is an answer of a server that reads its disk, or waits for its master: it says nothing now, and what it will have may be an old copy.
func unready(err error) bool {
	return redis.HasErrorPrefix(err, "LOADING") || redis.HasErrorPrefix(err, "MASTERDOWN")
}

// elsewhere is an answer of a server that does not have the keys any more: a failover is on its way.
func elsewhere(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "READONLY") || redis.HasErrorPrefix(err, "UNBLOCKED")
}

// fault says what an error of go-redis means to a caller: its context's end, ErrAway
// or a RefusedError. Nil stays nil; redis.Nil is the caller's to look at first.
func (s *Store) fault(ctx context.Context, err error, ks []key) error {
	if err == nil {
		return nil
	}
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, redis.Nil) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	text, _, _ := strings.Cut(answer.Error(), "\n")
	for _, p := range passing {
		if strings.HasPrefix(text, p) {
			return fmt.Errorf("%w: %s", ErrAway, text)
		}
	}
	refused := &RefusedError{Kind: kindOf(text), Text: text}
	if refused.Kind == "READONLY" && s.conn.moves() { // demoted; its successor is looked for at the next call
		return fmt.Errorf("%w: %s", ErrAway, text)
	}
	refused.Hint = hints[refused.Kind]
	if refused.Kind == "WRONGTYPE" {
		refused.Key = s.wrongKey(ctx, ks)
	}
	return refused
}

// kindOf is the first word, or the one that an error from inside a script wraps (Redis 6).
func kindOf(text string) string {
	kind, _, _ := strings.Cut(text, " ")
	if kind != "ERR" {
		return kind
	}
	for _, k := range []string{"WRONGTYPE", "OOM", "MISCONF", "READONLY", "NOPERM"} {
		if strings.Contains(text, k+" ") {
			return k
		}
	}
	return kind
}

// wrongKey finds the declared key that has another type than ours; "" if it is none of them
// (then it is the record of some id) or Redis does not say.
func (s *Store) wrongKey(ctx context.Context, ks []key) string {
	for _, k := range ks {
		kind, err := s.rdb.Type(ctx, k.name).Result()
		if err == nil && kind != k.kind && kind != "none" {
			return k.name + ": a " + kind + ", want a " + k.kind
		}
	}
	return ""
}

// wrongKind is the refusal of a key of another kind, of which a call of several told beside what it did.
func (s *Store) wrongKind(ctx context.Context, ks []key) error {
	return &RefusedError{
		Kind: "WRONGTYPE", Text: "WRONGTYPE Operation against a key holding the wrong kind of value", Key: s.wrongKey(ctx, ks), Hint: hints["WRONGTYPE"],
	}
}

// isAnswer tells an error that Redis answered from one of the way to it.
func isAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
