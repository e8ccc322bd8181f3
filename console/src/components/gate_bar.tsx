// A gate as one box per check; those that do not hold are outlined, and the number says the same.
export function GateBar({ hold, of }: { hold: number; of: number }) {
  return (
    <div className="gate" role="img" aria-label={`${hold} of ${of} checks hold`}>
      {Array.from({ length: Math.min(of, 40) }, (_, i) => (
        <i key={i} className={i < hold ? '' : 'no'} />
      ))}
    </div>
  );
}
