package events

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ConnectOptions are the client options that every connection of ours has: it
// reconnects for ever, and while the server is away nothing is buffered, so that a
// command that can not be sent fails at once rather than arriving minutes late. log
// nil discards what the connection has to say.
func ConnectOptions(name string, log *slog.Logger) []nats.Option {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(200 * time.Millisecond),
		nats.Timeout(2 * time.Second), nats.PingInterval(20 * time.Second), nats.PermissionErrOnSubscribe(true),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if sub != nil {
				log.Warn("bus", "reason", sub.Subject, "err", err)
				return
			}
			log.Warn("bus", "err", err)
		}),
	}
}

// denied is the word with which the server refused one of the subscriptions that were asked for last; nil if it took
// them. It is known behind a flush: NATS refuses without an answer to who asked.
func denied(nc *nats.Conn, subjects []string) error {
	err := nc.LastError()
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	for _, s := range subjects {
		if strings.Contains(err.Error(), `Subscription to "`+s+`"`) {
			return err
		}
	}
	return nil
}
