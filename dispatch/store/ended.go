package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// EndedEntry is one entry of the list ended: a job of the log that has its end.
type EndedEntry struct {
	Sequence uint64
	ID       string
	Outcome  Status // or EndedDead
}

// EndedDead is the outcome of an entry whose job is dead: its record has to be kept elsewhere before the log's
// message goes. Its sequence may be 0: in no log.
const EndedDead Status = "dead"

func (e EndedEntry) String() string { return dec(e.Sequence) + " " + e.ID + " " + string(e.Outcome) }

// pageMax bounds what one call reads or settles.
const pageMax = 1000

func page(limit int) int64 { return int64(min(max(limit, 1), pageMax)) }

// Ended reads the oldest entries, at most limit (1000), and the id of the newest fact, "0-0" for none: who has read
// the facts up to that one knows all their ends.
func (d *Daemon) Ended(ctx context.Context, limit int) (out []EndedEntry, fact string, err error) {
	k, facts := d.s.keys.ended(), d.s.keys.facts()
	p := d.s.rdb.Pipeline()
	lines := p.LRange(ctx, k.name, 0, page(limit)-1)
	last := p.XRevRangeN(ctx, facts.name, "+", "-", 1) // behind the list, to which a script adds when it tells the end
	if _, err := p.Exec(ctx); err != nil {
		return nil, "", d.s.fault(ctx, err, []key{k, facts})
	}
	if fact = noFact; len(last.Val()) > 0 {
		fact = last.Val()[0].ID
	}
	for _, l := range lines.Val() {
		sequence, rest, ok := strings.Cut(l, " ")
		at := strings.LastIndexByte(rest, ' ') // an id that others chose may have blanks
		if !ok || at < 1 {
			return out, fact, fmt.Errorf("read %s: entry %q: want sequence, id, outcome", k.name, l)
		}
		out = append(out, EndedEntry{Sequence: laxUint(sequence), ID: rest[:at], Outcome: Status(rest[at+1:])})
	}
	return out, fact, nil
}

// Settle says that the log's messages of these entries (at most 1000, the first of Ended, in that order)
// are gone: it removes them and lets their records and reply lists expire. Returns how many
// entries are left.
func (d *Daemon) Settle(ctx context.Context, entries []EndedEntry) (int, error) {
	if len(entries) > pageMax {
		return 0, fmt.Errorf("settle %d entries: want at most %d at once", len(entries), pageMax)
	}
	k := d.s.keys
	args := []any{dec(d.epoch)}
	for _, e := range entries {
		args = append(args, e.String())
	}
	r, err := d.s.run(ctx, "settle", []key{k.epoch(), k.ended()}, args...)
	if err != nil {
		return 0, err
	}
	return r.num(1), r.err
}

// SomeResultsGo reports whether there are results that go before their records: for who asks each few seconds, one command.
func (s *Store) SomeResultsGo(ctx context.Context) (bool, error) {
	k := s.keys.results()
	n, err := s.rdb.Exists(ctx, k.name).Result()
	return n > 0, s.fault(ctx, err, []key{k})
}

// ForgetResults lets results go whose time is over, at most 500; it says how many.
func (d *Daemon) ForgetResults(ctx context.Context) (int, error) {
	k := d.s.keys
	r, err := d.s.run(ctx, "results", []key{k.epoch(), k.results()}, dec(d.epoch))
	if err != nil {
		return 0, err
	}
	return r.num(1), r.err
}

// DeadJob is one entry of the dead list.
type DeadJob struct {
	ID     string
	At     time.Time
	Reason string
}

// Dead lists dead jobs, newest first, at most limit (1000).
func (d *Daemon) Dead(ctx context.Context, limit int) ([]DeadJob, error) {
	k := d.s.keys.dead()
	zs, err := d.s.rdb.ZRevRangeWithScores(ctx, k.name, 0, page(limit)-1).Result()
	if err != nil {
		return nil, d.s.fault(ctx, err, []key{k})
	}
	out := make([]DeadJob, len(zs))
	p := d.s.rdb.Pipeline()
	reasons := make([]*redis.StringCmd, len(zs))
	for i, z := range zs {
		id, _ := z.Member.(string)
		out[i] = DeadJob{ID: id, At: time.UnixMilli(int64(z.Score)).UTC(), Reason: ReasonNoRecord}
		reasons[i] = p.HGet(ctx, d.s.keys.job(id).name, "reason")
	}
	if len(zs) == 0 {
		return out, nil
	}
	_, err = p.Exec(ctx)
	for i, r := range reasons {
		if r.Err() == nil {
			out[i].Reason = r.Val()
		}
	}
	if err != nil && isAnswer(err) { // no record, or not a hash: that is the reason given already
		err = nil
	}
	return out, d.s.fault(ctx, err, nil)
}
