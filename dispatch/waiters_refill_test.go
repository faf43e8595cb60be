package dispatch

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// A job has ended, its fact is read and its message out of the log, and Redis is emptied before its end is looked up for who waits: who asked is told
// that it has ended and its result is gone, also when the log has nothing more, and does not wait for a job that nobody has.
func TestWhoWaitsForAJobWhoseResultWentWithRedisIsAnswered(t *testing.T) {
	for _, left := range []bool{false, true} { // whether the log has another, earlier message
		eachRedis(t, func(t *testing.T, r *redisServer) {
			b := newBed(t, r)
			var held atomic.Bool
			b.up(func(c *Component) {
				c.after = func(step string) error {
					if step == "lookup" && held.Load() {
						return errors.New("held here by the test")
					}
					return nil
				}
			})
			messages := uint64(0)
			if left {
				b.queued(Options{Delay: time.Hour})
				messages = 1
			}
			held.Store(true)
			id := b.queued(Options{ID: "awaited"})
			answers := make(chan string, 2)
			for subject, body := range map[string]string{"hero.cmd.job.await." + id: "", "hero.cmd.job.run.bash": "x"} {
				go func() {
					m, err := b.bus.Conn().RequestMsgWithContext(b.soon(), &nats.Msg{Subject: subject, Data: []byte(body)})
					if err != nil {
						answers <- subject + ": " + err.Error()
						return
					}
					answers <- m.Header.Get("Nats-Service-Error-Code") + " " + string(m.Data)
				}()
			}
			b.eventually("both wait", func() bool { return count(b, any1[events.JobQueued]) == int(messages)+2 })
			b.actor("bash_1", nil)
			expectNth(b, 2, any1[events.JobEnded])
			b.eventually("their messages are gone", func() bool { return b.logged() == messages })
			b.flush()
			expect(b, any1[events.RedisRefilled])
			held.Store(false)
			for range 2 {
				if a := <-answers; !strings.HasPrefix(a, "410 ") || !strings.Contains(a, "result_gone") {
					t.Error(a)
				}
			}
		})
	}
}
