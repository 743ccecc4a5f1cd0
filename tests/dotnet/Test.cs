using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

/// <summary>A test cannot be run here; the text says why.</summary>
class Skipped : Exception
{
    internal Skipped(string why) : base(why)
    {
    }
}

/// <summary>
/// Named tests, each on a thread of its own with a time limit. The last line says how many passed, failed and were
/// skipped.
/// </summary>
class Tests
{
    private const int Seconds = 120;

    private readonly List<KeyValuePair<string, Action>> all = new List<KeyValuePair<string, Action>>();

    internal void Add(string name, Action test)
    {
        all.Add(new KeyValuePair<string, Action>(name, test));
    }

    /// <summary>Runs those whose names contain one of the words, or all; gives the status for the process.</summary>
    internal int Run(string[] words)
    {
        int passed = 0, failed = 0, skipped = 0;
        foreach (var test in all.Where(test => words.Length == 0 || words.Any(test.Key.Contains)))
        {
            Exception error = RunOne(test.Value);
            if (error == null)
            {
                passed++;
                Console.WriteLine("ok      " + test.Key);
            }
            else if (error is Skipped)
            {
                skipped++;
                Console.WriteLine("skipped " + test.Key + ": " + error.Message);
            }
            else
            {
                failed++;
                Console.WriteLine("FAILED  " + test.Key + "\n" + error);
            }
        }
        Console.WriteLine(passed + " passed, " + failed + " failed, " + skipped + " skipped");
        return failed > 0 || passed + skipped == 0 ? 1 : 0;
    }

    private static Exception RunOne(Action test)
    {
        Exception error = null;
        var thread = new Thread(() =>
        {
            try
            {
                test();
            }
            catch (Exception thrown)
            {
                error = thrown;
            }
        });
        thread.IsBackground = true;
        thread.Start();
        return thread.Join(Seconds * 1000) ? error : new TimeoutException("not done after " + Seconds + " s");
    }
}

/// <summary>What a test expects.</summary>
static class Expect
{
    internal static void Equal<T>(T expected, T actual, string what = "")
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual))
        {
            throw new Exception(what + ": expected <" + expected + ">, got <" + actual + ">");
        }
    }

    internal static void Bytes(byte[] expected, byte[] actual, string what = "")
    {
        if (!expected.SequenceEqual(actual))
        {
            throw new Exception(what + ": " + expected.Length + " bytes expected, " + actual.Length + " others got");
        }
    }

    internal static void True(bool condition, string what)
    {
        if (!condition)
        {
            throw new Exception("not so: " + what);
        }
    }

    internal static void Contains(string part, string whole)
    {
        True(whole.Contains(part), "\"" + whole + "\" contains \"" + part + "\"");
    }

    /// <summary>That very exception, or one derived from it.</summary>
    internal static T Throws<T>(Action action) where T : Exception
    {
        try
        {
            action();
        }
        catch (T expected)
        {
            return expected;
        }
        throw new Exception("no " + typeof(T).Name);
    }
}
