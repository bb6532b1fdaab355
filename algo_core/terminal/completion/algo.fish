# Completion of algo for fish 3.4 and later.
#
# fish quotes what it inserts, also between quotes that have been begun. Both conditions below are asked for each TAB, in
# an order of fish's own; whichever comes first runs algo, and the other one uses its answer.

function __algo_ask
    set -l line (commandline -cp | string collect)
    if test "$__algo_asked" = "$line"
        set -e __algo_asked
    else
        set -l program (commandline -opc)[1]
        string match -q '~/*' -- "$program"; and set program $HOME/(string sub -s 3 -- $program)
        command -q -- "$program"; or set program algo
        set -g __algo_asked "$line"
        set -g __algo_answer (_ALGO_COMPLETE=fish command $program $line 2>/dev/null </dev/null | string split0)
    end
    if test "$__algo_answer[1]" = file
        test $argv[1] = file
    else
        test $argv[1] = plain
    end
end

function __algo_answer
    test (count $__algo_answer) -gt 1; and printf '%s\0' $__algo_answer[2..-1]
end

complete -c algo -e
complete -c algo -f -k -n '__algo_ask plain' -a '(__algo_answer | string split0)'
complete -c algo -n '__algo_ask file' -F
