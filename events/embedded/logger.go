package embedded

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// logger gives the server's words to slog. Its notices are our debug lines: they
// speak of the server's inside, which is not what an operator watches. A fatal
// line must not end the process (the stock logger does); it is kept instead.
type logger struct {
	log  *slog.Logger
	last atomic.Pointer[string]
	// complained has room for one sign that the server warned of something.
	complained chan struct{}
}

func (l *logger) complain() {
	select {
	case l.complained <- struct{}{}:
	default:
	}
}

func (l *logger) fatal() string {
	if p := l.last.Load(); p != nil {
		return *p
	}
	return ""
}

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("nats", "reason", fmt.Sprintf(format, v...))
}

func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn("nats", "reason", fmt.Sprintf(format, v...))
	l.complain()
}

func (l *logger) Errorf(format string, v ...any) {
	l.log.Error("nats", "reason", fmt.Sprintf(format, v...))
	l.complain()
}
func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}

func (l *logger) Fatalf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
	l.last.Store(&s)
	l.log.Error("nats", "reason", s)
}
