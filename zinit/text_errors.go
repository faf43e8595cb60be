package zinit

import (
	"fmt"
	"strings"
)

// textErrors are the refusals of the text dialect. Its errors have no number, and
// clients in the wild tell them apart by these words.
var textErrors = []struct {
	code Code
	text string // %q is the service
	mark string // what it is known by
}{
	{ServiceNotFound, "service name %q unknown", `" unknown`},
	{ServiceAlreadyMonitored, "service %q already monitored", "already monitored"},
	{ServiceIsUp, "service %q is up", `" is up`},
	{ServiceIsDown, "service %q is down", `" is down`},
	{ShuttingDown, "zinit is shutting down", "shutting down"},
	{ConfigError, "failed to load service config", "service config"},
	{InvalidSignal, "EINVAL: Invalid argument", "EINVAL"},
	{MethodNotFound, "", "unknown command"},
	{MethodNotFound, "", "invalid log command"},
}

// TextOf is a refusal in the words of the text dialect.
func TextOf(e *Error) string {
	service := ""
	if e.Data != nil {
		service = e.Data.Service
	}
	for _, t := range textErrors {
		switch {
		case t.code != e.Code || t.text == "":
		case strings.Contains(t.text, "%q"):
			return fmt.Sprintf(t.text, service)
		default:
			return t.text
		}
	}
	return e.Message
}

// textRefusal is the refusal that words mean. What is not known is an internal
// error: it has its text.
func textRefusal(text string) *Error {
	for _, t := range textErrors {
		if strings.Contains(text, t.mark) {
			return &Error{Code: t.code, Message: text}
		}
	}
	return &Error{Code: InternalError, Message: text}
}
