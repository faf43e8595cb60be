package zinit

import (
	"context"
	"fmt"
)

// refine says what a general error of the versions without error data means (v0.2.15 to
// v0.2.27, research/zinit.md 3.3), as far as what such a zinit says otherwise tells. Of
// one in another dialect it knows an unknown service.
func (c *Client) refine(ctx context.Context, m method, e *Error, params []any) error {
	if e.Data != nil || len(params) == 0 || e.Code != InternalError && e.Code != ServiceIsUp {
		return e
	}
	name, _ := params[0].(string)
	means := func(code Code, text string) error {
		return &Error{Code: code, Message: fmt.Sprintf("service '%s' %s", name, text)}
	}
	versions := c.spoken() == JSONRPC
	switch {
	case m.names:
	case versions && (m.name == "service_monitor" || m.name == "service_get" || m.name == "service_delete"):
		if err := ValidName(name); err != nil {
			return &Error{Code: InvalidServiceName, Message: err.Error()}
		}
	default:
		return e
	}
	all, err := c.List(ctx)
	if err != nil {
		return e
	}
	_, known := all[name]
	switch {
	case m.names && !known:
		return means(ServiceNotFound, "is not known")
	case !versions:
		return e
	case m.name == "service_monitor" && known:
		return means(ServiceAlreadyMonitored, "already monitored")
	case m.name == "service_monitor":
		return means(ConfigError, "has no file that can be loaded")
	case m.name == "service_start": // nothing else keeps it from taking the order
		return means(ShuttingDown, "is not started: zinit is shutting down")
	case m.name == "service_kill":
		if _, err := ParseSignal(fmt.Sprint(params[1])); err != nil {
			return &Error{Code: InvalidSignal, Message: err.Error()}
		}
	case m.name != "service_forget" && m.name != "service_stats":
		return e
	}
	st, err := c.Status(ctx, name)
	switch forget := m.name == "service_forget"; {
	case err != nil:
	case forget && (st.PID != 0 || st.Target == Up):
		return means(ServiceIsUp, "is up")
	case !forget && st.PID == 0:
		return means(ServiceIsDown, "is down")
	}
	return e
}
