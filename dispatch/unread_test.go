package dispatch

import (
	"errors"
	"sync/atomic"
	"testing"

	"herosup/events"
)

// A job ends while the reader of the facts is behind, and Redis is emptied before it has read that: the end is told all the
// same, as the message was not taken out of the log. The job runs again.
func TestAnEndThatNobodyHasReadStaysInTheLog(t *testing.T) {
	eachRedis(t, func(t *testing.T, r *redisServer) {
		b := newBed(t, r)
		var behind atomic.Bool
		unread := make(chan struct{}, 1)
		c := b.up(func(c *Component) {
			c.after = func(step string) error {
				switch {
				case step == "facts" && behind.Load():
					return errors.New("held back by the test")
				case step == "unread":
					kick(unread)
				case step == "delete" && behind.Load():
					t.Error("the message of a job is deleted whose end nobody has read")
				}
				return nil
			}
		})
		b.actor("bash_1", nil)
		expect(b, any1[events.ActorRegistered])
		b.publish(events.ActorStateChanged{Pool: "bash", Actor: "bash_1", To: "idle"})
		behind.Store(true)
		id := b.submit("x", Options{})
		b.eventually("it has ended", func() bool { return b.rdb.LLen(b.soon(), "hero:ended").Val() == 1 })
		kick(c.endedNow)
		<-unread
		b.flush()
		behind.Store(false)
		expect(b, any1[events.RedisRefilled])
		expect(b, func(e events.JobEnded) bool { return e.Job == id })
		b.eventually("the log is empty", func() bool { return b.logged() == 0 })
	})
}
