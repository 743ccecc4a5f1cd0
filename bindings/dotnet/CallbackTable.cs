using System;
using System.Collections.Generic;

namespace SslSock
{
    /// <summary>
    /// The delegates that stand behind the static callbacks which the library calls, each under a number that is used
    /// once: one that comes too late finds nothing, rather than another's. Equal delegates have one number, for to the
    /// library other arguments are other hooks, and sessions are not shared between those.
    /// </summary>
    /// <remarks>It keeps none of them alive: a hook that knows its socket would keep both for ever.</remarks>
    internal sealed class CallbackTable<T> where T : class
    {
        private readonly Dictionary<long, WeakReference<T>> byNumber = new Dictionary<long, WeakReference<T>>();
        private readonly Dictionary<int, List<long>> byHash = new Dictionary<int, List<long>>();
        private long last;
        private int swept = 16;

        /// <summary>The number of a delegate, good as long as the caller keeps <paramref name="kept"/>.</summary>
        internal IntPtr Add(T callback, out T kept)
        {
            lock (byNumber)
            {
                List<long> equals;
                if (!byHash.TryGetValue(callback.GetHashCode(), out equals))
                {
                    equals = byHash[callback.GetHashCode()] = new List<long>();
                }
                foreach (long number in equals)
                {
                    if (byNumber[number].TryGetTarget(out kept) && kept.Equals(callback))
                    {
                        return new IntPtr(number);
                    }
                }
                byNumber.Add(++last, new WeakReference<T>(callback));
                equals.Add(last);
                kept = callback;
                long added = last;
                Sweep();
                return new IntPtr(added);
            }
        }

        /// <exception cref="ObjectDisposedException">The handle that it was set on is no more.</exception>
        internal T Find(IntPtr number)
        {
            lock (byNumber)
            {
                WeakReference<T> entry;
                T callback;
                if (byNumber.TryGetValue(number.ToInt64(), out entry) && entry.TryGetTarget(out callback))
                {
                    return callback;
                }
                throw new ObjectDisposedException(typeof(T).Name);
            }
        }

        /// <summary>Forgets what has been collected, whenever there is twice as much as the last time.</summary>
        private void Sweep()
        {
            if (byNumber.Count < 2 * swept)
            {
                return;
            }
            T ignored;
            foreach (int hash in new List<int>(byHash.Keys))
            {
                foreach (long number in byHash[hash].FindAll(one => !byNumber[one].TryGetTarget(out ignored)))
                {
                    byNumber.Remove(number);
                    byHash[hash].Remove(number);
                }
                if (byHash[hash].Count == 0)
                {
                    byHash.Remove(hash);
                }
            }
            swept = Math.Max(16, byNumber.Count);
        }
    }
}
