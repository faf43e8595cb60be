package store

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// codes collects which answers of which scripts a test has seen. It listens to the client; go-redis
// calls hooks from the callers' goroutines, hence the lock.
type codes struct {
	mu     sync.Mutex
	bySHA  map[string]string
	counts map[string]int // "exchange JOB"
}

func recordCodes(s *Store) *codes {
	c := &codes{bySHA: map[string]string{}, counts: map[string]int{}}
	for name, sc := range s.scripts {
		c.bySHA[sc.sha], c.bySHA[sc.source] = name, name
	}
	s.rdb.AddHook(c)
	return c
}

func (c *codes) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *codes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		c.note(cmd)
		return err
	}
}

func (c *codes) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			c.note(cmd)
		}
		return err
	}
}

func (c *codes) note(cmd redis.Cmder) {
	call, ok := cmd.(*redis.Cmd)
	if !ok || len(call.Args()) < 2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.bySHA[fmt.Sprint(call.Args()[1])]
	answer, _ := call.Val().([]any)
	if name == "" || len(answer) == 0 {
		return
	}
	said := fmt.Sprint(name, " ", answer[0])
	c.counts[said]++
}

// headerCodes are the answers that the scripts' headers promise.
func headerCodes(t *testing.T) []string {
	t.Helper()
	entries, err := sources.ReadDir("scripts")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".lua")
		if !ok {
			continue
		}
		text, err := sources.ReadFile("scripts/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(text), "-- RETURNS ")
		if !ok {
			t.Errorf("%s has no RETURNS", e.Name())
		}
		line, _, _ := strings.Cut(rest, "\n")
		for alternative := range strings.SplitSeq(line, " | ") {
			words := strings.Fields(alternative)
			for first := range strings.SplitSeq(words[0], "/") {
				out = append(out, name+" "+first)
			}
		}
	}
	slices.Sort(out)
	return out
}

// missing are the promised answers that were not seen; unpromised those seen that no header names.
func (c *codes) missing(t *testing.T) (missing, unpromised []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	want := headerCodes(t)
	for _, w := range want {
		if c.counts[w] == 0 {
			missing = append(missing, w)
		}
	}
	for _, got := range slices.Sorted(maps.Keys(c.counts)) {
		if !slices.Contains(want, got) {
			unpromised = append(unpromised, got)
		}
	}
	return missing, unpromised
}
