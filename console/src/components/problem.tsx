// A failure in words: what, where, and what to do.
import { Problem } from '../api';

export function ProblemNote({ problem, retry }: { problem: unknown; retry?: () => void }) {
  if (!problem) return null;
  const known = problem instanceof Problem ? problem : new Problem(0, 'Something went wrong', String(problem));
  return (
    <div className="problem" role="alert">
      <strong>
        <span aria-hidden="true">✕ </span>
        {known.title}
      </strong>
      {known.detail && <p>{known.detail}</p>}
      {known.pointer && (
        <p>
          At <code>{known.pointer}</code>
        </p>
      )}
      {known.fix && (
        <p>
          <b>What to do:</b> {known.fix}
        </p>
      )}
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: React.ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children && <p>{children}</p>}
    </div>
  );
}

// Holds the place of what is coming, so that nothing jumps when it comes.
export function Loading({ lines = 3, label = 'Loading' }: { lines?: number; label?: string }) {
  return (
    <div className="loading" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  );
}
