package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// recordFields are the fields of a record that Jobs reads: none of the long ones.
var recordFields = []string{
	"id", "type", "script_type", "status", "caller_id", "context_id", "timeout", "error", "reason", "exit_code",
	"token", "crashes", "sequence", "v", "created_at", "updated_at",
	"queued_ms", "ready_ms", "first_ms", "opts",
	"retries", "retried", "dead_ms", "cancel", "cause",
}

// Job reads one record: ErrNoJob if there is none.
func (s *Store) Job(ctx context.Context, id string) (Record, error) {
	if err := bad("job id", id); err != nil {
		return Record{}, err
	}
	k := s.keys.job(id)
	m, err := s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil {
		return Record{}, s.fault(ctx, err, []key{k})
	}
	if len(m) == 0 {
		return Record{}, ErrNoJob
	}
	return readRecord(id, m), nil
}

// WholeRecords reads several, each as Job does, in one round trip. Ids without a record are left out.
func (s *Store) WholeRecords(ctx context.Context, ids []string) ([]Record, error) {
	p := s.rdb.Pipeline()
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		cmds[i] = p.HGetAll(ctx, s.keys.job(id).name)
	}
	if _, err := p.Exec(ctx); err != nil && !isAnswer(err) {
		return nil, s.fault(ctx, err, nil)
	}
	var out []Record
	for i, c := range cmds {
		if m, err := c.Result(); err == nil && len(m) > 0 {
			out = append(out, readRecord(ids[i], m))
		}
	}
	return out, nil
}

func readRecord(id string, m map[string]string) Record {
	r := Record{
		ID: id, Type: typeOfRecord(m["type"], m["script_type"]), Status: Status(strings.ToLower(m["status"])),
		Script: m["script"], EnvJSON: m["env_vars"], Caller: m["caller_id"], Context: m["context_id"],
		Timeout: laxSeconds(m["timeout"]), Output: m["output"], Error: m["error"], Reason: m["reason"],
		ExitCode: m["exit_code"], Host: m["host"], ForgotAt: msTime(m["forgotten"]), Crashes: laxInt(m["crashes"]), Cause: m["cause"],
		Retries: laxInt(m["retries"]), Retried: laxInt(m["retried"]), DeadAt: msTime(m["dead_ms"]), CancelAt: msTime(m["cancel"]),
		History:  readHistory(m["history"]),
		Sequence: laxUint(m["sequence"]), Foreign: m["v"] == "", CreatedAt: m["created_at"], UpdatedAt: m["updated_at"],
		QueuedAt: msTime(m["queued_ms"]), ReadyAt: msTime(m["ready_ms"]), FirstReadyAt: msTime(m["first_ms"]),
	}
	if r.Status.Ended() {
		r.FinishedAt, _ = time.Parse(time.RFC3339, r.UpdatedAt)
	}
	if m["token"] == "" { // what others call so is no message of the log
		r.Sequence = 0
	}
	t, started, actor := readToken(m["token"])
	r.Attempts, r.StartedAt, r.Actor = t.Attempt, started, actor
	readOpts(&r, m["opts"])
	if t.Incarnation != "" && !r.Status.Ended() {
		r.Token = t
	}
	return r
}

// readToken reads "<epoch> <attempt> <incarnation> <started_ms> <actor>"; what is none of ours is zero.
func readToken(text string) (t Token, started time.Time, actor string) {
	f := strings.Split(text, " ")
	if len(f) != 5 {
		return Token{}, time.Time{}, ""
	}
	return Token{Epoch: laxUint(f[0]), Attempt: laxInt(f[1]), Incarnation: f[2]}, msTime(f[3]), f[4]
}

// typeOfRecord is the job type: the queue's if one of our scripts saw the record, else what others
// wrote, which may be the enum's name (research/hero.md 12).
func typeOfRecord(ours, theirs string) string {
	if ours != "" {
		return ours
	}
	return strings.ToLower(theirs)
}

// JobsPage is one page of records.
type JobsPage struct {
	Jobs []Record // without Script, Output and EnvJSON; in no order
	Next uint64   // cursor of the next page; 0: this was the last
}

// scanCount is how many keys Redis looks at for one page.
const scanCount = 500

// Jobs lists records page by page (SCAN: one that exists all the while is seen at least once, perhaps
// twice). Start with cursor 0. A page may be empty and not the last.
func (s *Store) Jobs(ctx context.Context, cursor uint64) (JobsPage, error) {
	p, err := s.scanPage(ctx, cursor)
	if err != nil {
		return JobsPage{}, err
	}
	recs, err := s.records(ctx, p.IDs)
	return JobsPage{Jobs: recs, Next: p.Next}, err
}

// Waiting lists the next jobs of a type in the order in which they will be served, at most limit (1000) and as many that run alone, which
// an empty hand takes first.
// Ids without a record are left out.
func (s *Store) Waiting(ctx context.Context, jobType string, limit int) ([]Record, error) {
	if err := bad("script type", jobType); err != nil {
		return nil, err
	}
	queue, prio, alone := s.keys.queue(jobType), s.keys.prio(jobType), s.keys.alone(jobType)
	p := s.rdb.Pipeline()
	list := p.LRange(ctx, queue.name, -page(limit), -1)
	others := p.ZRangeWithScores(ctx, prio.name, 0, page(limit)-1)
	lone := p.LRange(ctx, alone.name, -page(limit), -1)
	if _, err := p.Exec(ctx); err != nil {
		return nil, s.fault(ctx, err, []key{queue, prio, alone})
	}
	slices.Reverse(list.Val())
	slices.Reverse(lone.Val())
	first, err := s.records(ctx, lone.Val())
	if err != nil {
		return nil, err
	}
	recs, err := s.records(ctx, list.Val())
	if err == nil && len(others.Val()) > 0 {
		recs, err = s.merge(ctx, recs, others.Val(), int(page(limit)))
	}
	return append(first, recs...), err
}

// since is the time that its place among jobs of other levels is counted from.
func (r Record) since() time.Time {
	if !r.FirstReadyAt.IsZero() {
		return r.FirstReadyAt
	}
	return r.ReadyAt
}

// merge puts jobs of other levels between those of the list, as the scripts do (scripts/lib/queue.lua).
func (s *Store) merge(ctx context.Context, plain []Record, others []redis.Z, limit int) ([]Record, error) {
	ids := make([]string, len(others))
	score := make(map[string]float64, len(others))
	for i, z := range others {
		member, _ := z.Member.(string)
		_, ids[i], _ = strings.Cut(member, " ")
		score[ids[i]] = z.Score
	}
	levelled, err := s.records(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Record, 0, limit)
	for len(out) < limit && len(plain)+len(levelled) > 0 {
		from := &levelled
		if len(levelled) == 0 || len(plain) > 0 && float64(plain[0].since().UnixMilli()) <= score[levelled[0].ID] {
			from = &plain
		}
		out, *from = append(out, (*from)[0]), (*from)[1:]
	}
	return out, nil
}

// readsAtOnce bounds a pipeline of reads. The embedded server sends each answer
// before it reads the next command, and go-redis reads answers only when all
// commands are sent: with more in one pipeline than the socket's buffers hold,
// each waits for the other until the deadline.
const readsAtOnce = 50

// records reads the short fields of many records.
func (s *Store) records(ctx context.Context, ids []string) ([]Record, error) {
	return s.recordsWith(ctx, ids, recordFields)
}

func (s *Store) recordsWith(ctx context.Context, ids, fields []string) ([]Record, error) {
	var out []Record
	for some := range slices.Chunk(ids, readsAtOnce) {
		part, err := s.someRecords(ctx, some, fields)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
	}
	return out, nil
}

func (s *Store) someRecords(ctx context.Context, ids, fields []string) ([]Record, error) {
	p := s.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		cmds[i] = p.HMGet(ctx, s.keys.job(id).name, fields...)
	}
	if _, err := p.Exec(ctx); err != nil && !isAnswer(err) { // an answer: one that is no hash by now
		return nil, s.fault(ctx, err, nil)
	}
	var out []Record
	for i, c := range cmds {
		if c.Err() != nil {
			continue
		}
		m := make(map[string]string)
		for j, v := range c.Val() {
			if text, ok := v.(string); ok {
				m[fields[j]] = text
			}
		}
		if m["status"] != "" || m["id"] != "" {
			out = append(out, readRecord(ids[i], m))
		}
	}
	return out, nil
}
