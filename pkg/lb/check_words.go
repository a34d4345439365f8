package lb

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// CodeRange is HTTP statuses from First to Last, both included.
type CodeRange struct{ First, Last int }

// Codes are the HTTP statuses that are good.
type Codes []CodeRange

// Contain says whether a status is good.
func (c Codes) Contain(status int) bool {
	for _, r := range c {
		if status >= r.First && status <= r.Last {
			return true
		}
	}
	return false
}

// ParseCodes reads statuses as people write them: numbers, ranges and classes with commas between them, as in
// 200,204,300-399 or 2xx.
func ParseCodes(s string) (Codes, error) {
	var codes Codes
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if class, ok := strings.CutSuffix(first, "xx"); ok && !isRange {
			first, last = class+"00", class+"99"
		} else if !isRange {
			last = first
		}
		r, err := codeRange(first, last)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		codes = append(codes, r)
	}
	return codes, nil
}

func codeRange(first, last string) (CodeRange, error) {
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	switch {
	case err1 != nil || err2 != nil || from < 100 || to > 599 || len(first) != 3 || len(last) != 3:
		return CodeRange{}, errors.New("write statuses from 100 to 599, as in 200,204,300-399 or 2xx")
	case from > to:
		return CodeRange{}, errors.New("the range ends before it begins")
	}
	return CodeRange{int(from), int(to)}, nil
}

// ParsePayload reads the bytes of a datagram: text, in which \n, \r, \t, \\ and \xHH stand for the bytes that
// they stand for elsewhere.
func ParsePayload(s string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, errors.New(`ends with a lone \: write \\`)
		}
		switch s[i] {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case '\\':
			out = append(out, '\\')
		case 'x':
			b, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
			if err != nil || i+3 > len(s) {
				return nil, fmt.Errorf(`character %d: write \x and two hexadecimal digits`, i)
			}
			out = append(out, byte(b))
			i += 2
		default:
			return nil, fmt.Errorf(`character %d: \%c stands for nothing: there are \n, \r, \t, \\ and \xHH`, i, s[i])
		}
	}
	return out, nil
}

// ParseBody compiles the expression that a body is to match. Its error says where the expression goes wrong.
func ParseBody(s string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(s)
	var e *syntax.Error
	if !errors.As(err, &e) {
		return re, err
	}
	at := max(strings.Index(s, e.Expr), 0)
	what := e.Expr
	if e.Code == syntax.ErrMissingParen || e.Code == syntax.ErrUnexpectedParen { // of which the library gives the whole
		at = oddParen(s)
		what = s[at:]
	}
	return nil, fmt.Errorf("character %d: %s: %q", at+1, e.Code, what)
}

// oddParen finds the parenthesis without a partner: the first ) too many, or else the last ( that stays open.
func oddParen(s string) int {
	var open []int
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			if end := strings.IndexByte(s[min(i+2, len(s)):], ']'); end >= 0 { // a ] that comes first is a member
				i += 2 + end
			}
		case '(':
			open = append(open, i)
		case ')':
			if len(open) == 0 {
				return i
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}
