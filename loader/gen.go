package loader

// The object is committed, so building Headgate needs no compiler but Go's; `make generate`
// rebuilds it. Only clang 19 yields the same bytes.
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type reason -type flow_class -type half_flag -type node_action -type algorithm -type half -type flow_word -type node_status -type bucket_head -type flow4 -type flow6 -type bucket4 -type bucket6 -type vip_key -type service -type stick_policy -type throttle_policy -type service_live -type service_info -type node -type node_live -type node_stats -type node_info -type stick_key -type stick_entry -type throttle_key -type throttle_entry -type snat -type link_entry -type announced_key -type announcement -type reason_counters -type table_meta -type creation headgate ../bpf/headgate.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
