using System;
using System.Linq;
using System.Threading;

namespace Matrix
{
    /// <summary>Many threads at once.</summary>
    internal static class Many
    {
        /// <summary>Runs the steps in so many threads, each with its number, and waits for all.</summary>
        /// <returns>What became of each: "done", or what it threw.</returns>
        internal static string[] Threads(int count, Action<int> steps)
        {
            string[] outcomes = new string[count];
            Thread[] threads = Enumerable.Range(0, count)
                .Select(i => new Thread(() => outcomes[i] = Outcome.Of(() => steps(i)))).ToArray();
            foreach (Thread thread in threads)
            {
                thread.Start();
            }
            foreach (Thread thread in threads)
            {
                thread.Join();
            }
            return outcomes;
        }
    }
}
