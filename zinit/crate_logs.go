package zinit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"time"
)

// crateLine is one line of a service, as the crate dialect keeps it.
type crateLine struct {
	At      int64  `json:"timestamp_ms"`
	Service string `json:"service"`
	Stream  string `json:"stream"`
	Content string `json:"content"`
}

// text is the line as every other zinit gives it.
func (l crateLine) text() string {
	mark := "[+] "
	if l.Stream == "stderr" {
		mark = "[-] "
	}
	return mark + l.Service + ": " + l.Content
}

// tail are the kept lines of a service, or of all for "", in the order of time.
// There is no common ring: each service has its own.
func (z crate) tail(name string) ([]crateLine, error) {
	names := []string{name}
	if name == "" {
		if err := z.ask("service.list", nil, &names); err != nil {
			return nil, err
		}
	}
	var all []crateLine
	for _, n := range names {
		var lines []crateLine
		err := z.ask("logs.tail", map[string]any{"name": n, "lines": math.MaxInt32}, &lines)
		if name == "" && errors.Is(err, ServiceNotFound) {
			continue // went meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	slices.SortStableFunc(all, func(a, b crateLine) int { return cmp.Compare(a.At, b.At) })
	return all, nil
}

func (z crate) logs(name string) ([]string, error) {
	lines, err := z.tail(name)
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.text()
	}
	return texts, err
}

// crateLogPace is how often one who follows looks for lines: there is no
// subscription.
const crateLogPace = 200 * time.Millisecond

// crateFollow tells the lines that are new since the last look. A service that
// writes more between two looks than its ring holds (1,000 lines) loses the rest.
type crateFollow struct {
	client *Client
	name   string
	seen   map[string]mark // by service
	ready  []string

	end    sync.Once
	closed chan struct{}
}

// mark is how far a service's lines were told: up to n lines of that millisecond.
type mark struct {
	at int64
	n  int
}

// followAsCrate is the stream of lines, which begins with what is kept.
func (c *Client) followAsCrate(ctx context.Context, name string) (*LogStream, error) {
	f := &crateFollow{client: c, name: name, closed: make(chan struct{})}
	if err := f.look(ctx); err != nil {
		return nil, err
	}
	return &LogStream{looks: f}, nil
}

func (f *crateFollow) close() { f.end.Do(func() { close(f.closed) }) }

// look reads what is kept and puts what is new of it into ready.
func (f *crateFollow) look(ctx context.Context) error {
	var lines []crateLine
	err := f.client.call(ctx, method{name: crateTail, reads: true}, f.client.opts.Timeout, &lines, filter(f.name))
	if err = ignoring(err, ServiceNotFound); err != nil { // it may yet come
		return err
	}
	told := map[string]mark{}
	for _, l := range lines {
		now := told[l.Service]
		if l.At != now.at {
			now = mark{at: l.At}
		}
		now.n++
		told[l.Service] = now
		if was := f.seen[l.Service]; now.at > was.at || now.at == was.at && now.n > was.n {
			f.ready = append(f.ready, l.text())
		}
	}
	f.seen = told
	return nil
}

// next waits for a line.
func (f *crateFollow) next(ctx context.Context) (string, error) {
	for len(f.ready) == 0 {
		select {
		case <-time.After(crateLogPace):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-f.closed:
			return "", fmt.Errorf("read log: %w", net.ErrClosed)
		}
		if err := f.look(ctx); err != nil {
			return "", err
		}
	}
	line := f.ready[0]
	f.ready = f.ready[1:]
	return line, nil
}
