package server

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"herosup/zinit"
	"herosup/zinit/wire"
)

// maxSubscriptions is how many log subscriptions one connection may hold: the
// original's number.
const maxSubscriptions = 1024

// subscriptions are the log subscriptions of one connection. Its calls run side
// by side, so this is for concurrent use.
type subscriptions struct {
	conn  *conn
	ctx   context.Context // ends them all
	end   context.CancelFunc
	last  atomic.Uint64
	count atomic.Int64
	ends  sync.Map // id (uint64) -> context.CancelFunc
	wg    sync.WaitGroup
}

func newSubscriptions(c *conn) *subscriptions {
	s := &subscriptions{conn: c}
	s.ctx, s.end = context.WithCancel(c.ctx)
	return s
}

// add begins to collect lines. begin sends them; it is called when the answer
// with the id is on its way, so that no line overtakes it.
func (s *subscriptions) add(label string) (id uint64, begin func(), err error) {
	if s.count.Add(1) > maxSubscriptions {
		s.count.Add(-1)
		return 0, func() {}, refuse(zinit.InternalError, "subscribing", "",
			fmt.Sprintf("over %d subscriptions on one connection", maxSubscriptions), "")
	}
	id = s.last.Add(1)
	ctx, end := context.WithCancel(s.ctx)
	s.ends.Store(id, end)
	f := s.conn.api.logs.follow(label)
	return id, func() {
		s.wg.Go(func() {
			defer s.count.Add(-1)
			defer s.conn.api.logs.unfollow(f)
			defer end()
			for {
				select {
				case text := <-f.lines:
					s.item(id, text)
				case <-ctx.Done():
					return
				}
			}
		})
	}, nil
}

func (s *subscriptions) item(id uint64, text string) {
	result, err := json.Marshal(text)
	if err != nil {
		return // text is valid UTF-8
	}
	msg, err := wire.Encode(wire.Item{
		Version: wire.Version, Method: subscribeLogs.name,
		Params: wire.ItemParams{Subscription: id, Result: result},
	})
	if err == nil { // a line is far from too long
		s.conn.putLine(msg)
	}
}

// remove ends a subscription, and reports whether there was one.
func (s *subscriptions) remove(raw json.RawMessage) bool {
	var id uint64
	if json.Unmarshal(raw, &id) != nil {
		return false
	}
	end, ok := s.ends.LoadAndDelete(id)
	if ok {
		end.(context.CancelFunc)()
	}
	return ok
}

// endAll ends all of them; wait returns when they have ended.
func (s *subscriptions) endAll() { s.end() }

func (s *subscriptions) wait() { s.wg.Wait() }
