// A name that a person gives to something of the machine's: nothing fills it in or changes its letters.
interface Props {
  label: string;
  value: string;
  pattern?: string;
  onChange: (name: string) => void;
}

export function NameField({ label, value, pattern, onChange }: Props) {
  return (
    <label className="field">
      <span>{label}</span>
      <input name="name" required autoComplete="off" autoCapitalize="none" pattern={pattern} value={value} onChange={(event) => onChange(event.target.value)} />
    </label>
  );
}
