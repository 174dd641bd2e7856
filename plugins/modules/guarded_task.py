#!/usr/bin/python

# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guarded_task
short_description: Run any module with retries, time limits, a circuit breaker and a result cache
version_added: 1.0.0
author: [scripts.toolkit contributors (@scripts-toolkit)]
description:
  - Runs another module or action as a task of its own would, and tries again with growing delays, ends what takes too
    long on the host too, does not call a service that is down for everybody, and keeps results for later tasks and
    runs.
  - The registered result is that of the wrapped module with RV(attempts) and RV(guard).
  - The wrapped module gets C(become), C(delegate_to), C(environment), check and diff mode, C(no_log), loops, and its
    own C(module_defaults), as if it stood there by itself.
  - See C(docs/guarded-tasks.md).
extends_documentation_fragment:
  - scripts.toolkit.attributes
  - scripts.toolkit.attributes.action
attributes:
  check_mode:
    support: full
    details: What the wrapped module supports. Circuits refuse in check mode too, but nothing is counted or kept.
  diff_mode:
    support: full
    details: What the wrapped module supports.
  idempotent:
    support: partial
    details: As idempotent as the wrapped module is.
options:
  module:
    description:
      - The module or action to run, by its full name.
      - Not C(meta), C(include_*) and C(import_*), which are none.
    type: str
    required: true
  args:
    description: Its options.
    type: dict
    default: {}
  retry:
    description: Try again when it fails. Without it there is one attempt.
    type: dict
    suboptions:
      attempts:
        description: How many attempts there are at most, the first one included.
        type: int
        default: 3
      initial_delay:
        description: Seconds before the second attempt, before jitter.
        type: float
        default: 1.0
      multiplier:
        description: How many times as long each delay is as the one before.
        type: float
        default: 2.0
      max_delay:
        description: Seconds of the longest delay.
        type: float
        default: 60.0
      jitter:
        description:
          - How delays are spread, so that many hosts don't come back at the same moment.
          - V(none) waits for the whole delay, V(full) for any time up to it, V(equal) for half of it and any part of
            the other half, V(decorrelated) for any time from O(retry.initial_delay) to three times the last wait.
        type: str
        choices: [none, full, equal, decorrelated]
        default: full
      "on":
        description:
          - What is tried again. Any of the given conditions is enough.
          - Without conditions it is a lost connection and any failure, but for those whose C(error.kind) says that
            trying again does not help, such as V(validation).
        type: dict
        suboptions:
          kinds:
            description:
              - Kinds of failures. Those of other modules are told by their status or message, such as V(unavailable)
                for a refused connection.
            type: list
            elements: str
            choices:
              - validation
              - dependency
              - permission
              - not_found
              - conflict
              - timeout
              - unavailable
              - integrity
              - unsafe
              - internal
          rc:
            description: Return codes.
            type: list
            elements: int
          match:
            description: A regular expression, searched in C(msg), C(stderr) and C(stdout) of a failure.
            type: str
          when:
            description:
              - Conditions as in C(when), of the variable C(result). If all hold, it is tried again, be it a failure or
                not; and if they still hold after the last attempt, the task fails.
            type: list
            elements: str
      max_retry_after:
        description:
          - A server may ask for a longer wait by the header Retry-After. Seconds of the longest one that is granted; if
            it asks for more, the task fails at once.
        type: float
        default: 300.0
  timeout:
    description:
      - Seconds that one attempt may take. Then it is ended on the host as well, and counts as a failure of kind
        V(timeout).
      - As root under systemd all processes are ended that it had started, otherwise those of its process group.
    type: float
  deadline:
    description:
      - Seconds that all attempts and waits may take together. Then the task fails with the kind V(timeout).
    type: float
  circuit:
    description:
      - A circuit breaker. When calls have failed too often, further ones are refused for a time, on all hosts and in
        all runs of this controller, with the kind V(unavailable). See C(docs/circuit-breakers.md).
    type: dict
    suboptions:
      name:
        description: Name of the circuit, such as that of the service.
        type: str
        required: true
      threshold:
        description: How many failures within O(circuit.period) open it. V(5) without O(circuit.failure_ratio).
        type: int
      failure_ratio:
        description: Instead, which part of the calls within O(circuit.period) must have failed, above 0 and at most 1.
        type: float
      minimum_calls:
        description: With O(circuit.failure_ratio), how many calls there must be before it counts. V(10) by default.
        type: int
      period:
        description: Seconds for which a failure counts.
        type: float
        default: 60.0
      open_for:
        description: Seconds for which it stays open before a call may try.
        type: float
        default: 60.0
      half_open_calls:
        description: How many calls may try at the same time.
        type: int
        default: 1
      success_threshold:
        description: How many of these must succeed to close it.
        type: int
        default: 1
      probe_timeout:
        description: Seconds after which a try that never came back no longer counts.
        type: float
        default: 300.0
      backend:
        description:
          - Where its state is kept for several controllers, V(redis://...), V(rediss://...) or V(postgresql://...). By
            default in a file of this controller.
        type: str
      on_backend_error:
        description: Whether the task fails if the state can't be read, or goes on without the circuit.
        type: str
        choices: [fail, bypass]
        default: fail
  cache:
    description:
      - Keep the result, and use it instead of running the module again. See C(docs/result-cache.md).
      - Results of tasks with C(no_log), failures, and results in check mode are never kept.
    type: dict
    suboptions:
      ttl:
        description: Seconds for which a result is used.
        type: float
        required: true
      key:
        description:
          - What tells results apart beside the module and the host. V(auto) are its options, the code of the module,
            C(become), C(environment) and C(delegate_to); another text stands for the options.
        type: str
        default: auto
      scope:
        description: Whether each host has its results, or all share them.
        type: str
        choices: [host, global]
        default: host
      wait:
        description: Seconds to wait for another process that is just computing the same result.
        type: float
        default: 300.0
      allow_changed:
        description: Keep also results of tasks that changed something. The change is not made again then.
        type: bool
        default: false
      directory:
        description: Where the results are kept, by default under the state directory of the collection.
        type: path
      on_error:
        description: Whether the task fails if the cache can't be used, or goes on without it.
        type: str
        choices: [fail, bypass]
        default: fail
seealso:
  - module: scripts.toolkit.circuit_breaker
  - module: scripts.toolkit.result_cache
  - plugin: scripts.toolkit.backoff_delays
    plugin_type: filter
notes:
  - While it waits, a host occupies one of the forks, as with C(until). O(deadline) bounds that.
  - "If it is used together with C(until), RV(attempts) is the number of those attempts instead."
"""

EXAMPLES = r"""
- name: Register the host, patiently
  scripts.toolkit.guarded_task:
    module: ansible.builtin.uri
    args:
      url: https://api.example.com/hosts
      method: POST
      body_format: json
      body:
        name: "{{ inventory_hostname }}"
      status_code: 201
    retry:
      attempts: 5
      "on":
        kinds: [timeout, unavailable]
    timeout: 30
    deadline: 300
    circuit:
      name: api.example.com
  delegate_to: localhost

- name: React when it can't be done in time
  block:
    - name: Wait for the replica to catch up
      scripts.toolkit.guarded_task:
        module: ansible.builtin.command
        args:
          argv: [/usr/local/bin/replication-lag]
        retry:
          attempts: 100
          initial_delay: 2
          multiplier: 1.5
          jitter: equal
          "on":
            when: result.stdout | int > 10
        deadline: 600
      changed_when: false
  rescue:
    - name: Leave the replica out
      ansible.builtin.debug:
        msg: "{{ ansible_failed_result.error.kind }}: {{ ansible_failed_result.msg }}"

- name: Ask once an hour at most
  scripts.toolkit.guarded_task:
    module: ansible.builtin.uri
    args:
      url: https://releases.example.com/latest.json
      return_content: true
    cache:
      ttl: 3600
      scope: global
  delegate_to: localhost
"""

RETURN = r"""
attempts:
  description: The attempts in order, none where a kept result was used.
  returned: always
  type: list
  elements: dict
  contains:
    number:
      description: Counts from 1.
      type: int
    started:
      description: When it began, in UTC.
      type: str
    duration_seconds:
      description: How long it took.
      type: float
    outcome:
      description: V(ok), V(failed), V(timeout), V(unreachable), or V(refused) by the circuit.
      type: str
    kind:
      description: The kind of the failure, null where that can't be told.
      type: str
    reason:
      description: What it said of its failure.
      type: str
    ended:
      description:
        - How an attempt was ended that took too long. V(scope) with all its processes, V(group) with its process group,
          V(connection) by giving the connection up, so that the host ends it by itself.
      type: str
    wait_seconds:
      description: How long was waited after it, null if no other attempt followed.
      type: float
  sample:
    - number: 1
      started: "2026-12-01T12:00:00.000Z"
      duration_seconds: 0.41
      outcome: failed
      kind: unavailable
      reason: "Status code was 503 and not [201]: HTTP Error 503: Service Unavailable"
      wait_seconds: 0.7
    - number: 2
      started: "2026-12-01T12:00:01.112Z"
      duration_seconds: 0.38
      outcome: ok
guard:
  description: What stood around the task.
  returned: always
  type: dict
  contains:
    module:
      description: The full name of the wrapped module.
      type: str
    circuit:
      description: The name of its circuit, null without one.
      type: str
    cache:
      description:
        - Null without a cache. Otherwise whether a kept result was used (C(hit)), how old it was (C(age_seconds)) and
          how long another process was waited for (C(waited_seconds)), or whether the result was C(stored), and if not,
          the C(reason).
      type: dict
  sample:
    module: ansible.builtin.uri
    circuit: api.example.com
    cache:
error:
  description:
    - Why it failed, with C(kind), C(message), C(hint) and C(item). Also where the wrapped module does not tell it, if
      its result shows the kind.
  returned: on failure
  type: dict
  sample:
    kind: timeout
    message: The task did not end within its timeout of 30 seconds.
    hint: All processes that it had started on the host were ended.
    item:
"""
