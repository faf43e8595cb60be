package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxPriority bounds the levels on both sides of 0.
const MaxPriority = 10

// checkRules refuses what the scripts could not take apart again.
func checkRules(j Submission) error {
	if j.Priority < -MaxPriority || j.Priority > MaxPriority {
		return fmt.Errorf("accept job %s: priority %d: want %d to %d", j.ID, j.Priority, -MaxPriority, MaxPriority)
	}
	if len(j.Prerequisites) > MaxPrerequisites {
		return fmt.Errorf("accept job %s: %d prerequisites: want at most %d", j.ID, len(j.Prerequisites), MaxPrerequisites)
	}
	for _, p := range j.Prerequisites {
		if err := bad("prerequisite", p.ID); err != nil {
			return fmt.Errorf("accept job %s: %w", j.ID, err)
		}
		switch p.Rule {
		case "", RuleFail, RuleRun, RuleHold:
		default:
			return fmt.Errorf("accept job %s: prerequisite %s: unknown rule %q", j.ID, p.ID, p.Rule)
		}
	}
	return nil
}

// rareOf is the field opts (scripts/lib/opts.lua); "" for a job without anything rare, which
// is what keeps the others cheap.
func (s *Store) rareOf(j Submission) string {
	var w []string
	if j.Priority != 0 {
		// The level's head start is fixed now, so that no other script needs the setting.
		head := int64(j.Priority) * s.maxPriorityWait.Milliseconds() / (2 * MaxPriority)
		w = append(w, fmt.Sprintf("p%d h%d", j.Priority, head))
	}
	if j.KeepResult != nil {
		w = append(w, "k"+keptFor(j.KeepResult))
	}
	if !j.StartBy.IsZero() {
		w = append(w, "b"+strconv.FormatInt(j.StartBy.UnixMilli(), 10))
	}
	if len(j.Prerequisites) > 0 {
		w = append(w, "n")
		if !j.Due.IsZero() {
			w = append(w, "d"+millis(j.Due))
		}
	}
	if len(w) == 0 {
		return ""
	}
	return fmt.Sprintf("o%020d %s", j.Sequence, strings.Join(w, " "))
}

// readOpts takes from the field what people want to know.
func readOpts(r *Record, opts string) {
	for w := range strings.FieldsSeq(opts) {
		switch w[0] {
		case 'p':
			r.Priority = laxInt(w[1:])
		case 'b':
			r.StartBy = msTime(w[1:])
		case 'd':
			r.Due = msTime(w[1:])
		case 'k':
			r.KeepResult = new(time.Duration(laxUint(w[1:])) * time.Millisecond)
		case 'a':
			r.Alone = true
		}
	}
}

func needs(j Submission) string {
	var w []string
	for _, p := range j.Prerequisites {
		rule := p.Rule
		if rule == "" {
			rule = RuleFail
		}
		w = append(w, p.ID, string(rule))
	}
	return strings.Join(w, " ")
}

func boolArg(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Need is what a job waits for still.
type Need struct {
	Prerequisite
	Status Status // of that job; "" if it is not known any more
	Reason string // its bad end, for which the job holds
}

// Needs lists what a job waits for, in no order.
func (s *Store) Needs(ctx context.Context, id string) ([]Need, error) {
	if err := bad("job id", id); err != nil {
		return nil, err
	}
	k := s.keys.need(id)
	all, err := s.rdb.HGetAll(ctx, k.name).Result()
	if err != nil {
		return nil, s.fault(ctx, err, []key{k})
	}
	var out []Need
	for p, rule := range all {
		n := Need{Prerequisite: Prerequisite{ID: p, Rule: Rule(rule)}}
		f, err := s.rdb.HMGet(ctx, s.keys.job(p).name, "status", "reason").Result()
		if err != nil {
			return nil, s.fault(ctx, err, []key{s.keys.job(p)})
		}
		if t, ok := f[0].(string); ok {
			n.Status = Status(strings.ToLower(t))
		}
		if t, ok := f[1].(string); ok {
			n.Reason = t
		}
		out = append(out, n)
	}
	return out, nil
}

// Dependents counts who waits for a job's end, and lists the first of them (at most limit), in the order in which they came.
func (s *Store) Dependents(ctx context.Context, id string, limit int) (first []string, all int, err error) {
	if err := bad("job id", id); err != nil {
		return nil, 0, err
	}
	k := s.keys.unlocks(id)
	p := s.rdb.Pipeline()
	card, some := p.ZCard(ctx, k.name), p.ZRange(ctx, k.name, 0, page(limit)-1)
	if _, err := p.Exec(ctx); err != nil {
		return nil, 0, s.fault(ctx, err, []key{k})
	}
	for _, m := range some.Val() {
		_, id, _ := strings.Cut(m, " ")
		first = append(first, id)
	}
	return first, int(card.Val()), nil
}

// Awaited says of each of several jobs whether others wait for it.
func (s *Store) Awaited(ctx context.Context, ids []string) (all []bool, err error) {
	for some := range slices.Chunk(ids, readsAtOnce) {
		p := s.rdb.Pipeline()
		cmds := make([]*redis.IntCmd, len(some))
		keys := make([]key, len(some))
		for i, id := range some {
			keys[i] = s.keys.unlocks(id)
			cmds[i] = p.ZCard(ctx, keys[i].name)
		}
		if _, err := p.Exec(ctx); err != nil {
			return nil, s.fault(ctx, err, keys)
		}
		for _, cmd := range cmds {
			all = append(all, cmd.Val() > 0)
		}
	}
	return all, nil
}

// defaultPriorityWait is how long a job waits at most behind a flood of higher levels.
const defaultPriorityWait = time.Minute
